"""List the settings that no other beats beyond the noise."""

from umap_sweep import job
from umap_sweep.quality import shortlist

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    shortlist.compute(
        snakemake.input.metrics,
        snakemake.input.get("stability"),
        snakemake.input.comparisons,
        snakemake.params.worth,
        snakemake.output.parquet,
        snakemake.output.csv,
    )
