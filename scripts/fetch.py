"""Read the features of a data set, and store them."""

from umap_sweep import job
from umap_sweep.sources import fetch

with job.running(snakemake.log[0], snakemake.params.code):
    fetch.compute(
        snakemake.params.dataset,
        snakemake.params.source,
        snakemake.input.get("source") or None,
        getattr(snakemake.params, "download", None),
        snakemake.output[0],
        snakemake.params.parent,
    )
