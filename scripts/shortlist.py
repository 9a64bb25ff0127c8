"""List the cells that no other cell beats."""

from umap_sweep import job
from umap_sweep.quality import shortlist

with job.running(snakemake.log[0], snakemake.params.code):
    shortlist.compute(
        snakemake.input.metrics,
        snakemake.input.get("stability"),
        snakemake.output.parquet,
        snakemake.output.csv,
    )
