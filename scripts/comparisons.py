"""Compare the settings of the sweep two by two."""

from umap_sweep import job
from umap_sweep.quality import comparisons

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    comparisons.compute(
        snakemake.input.metrics,
        snakemake.input.contributions,
        snakemake.input.get("stability"),
        snakemake.output.parquet,
        snakemake.output.csv,
    )
