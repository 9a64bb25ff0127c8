"""Read what names and describes the rows of a data set, and store it."""

from umap_sweep import job
from umap_sweep.sources import rows

with job.running(snakemake.log[0], snakemake.params.code):
    rows.compute(
        snakemake.wildcards.dataset,
        snakemake.params.source,
        snakemake.input.get("source") or None,
        snakemake.input.data,
        snakemake.output[0],
        parent=snakemake.params.parent,
    )
