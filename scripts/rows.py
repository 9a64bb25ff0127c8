"""Read what names and describes the rows of a data set, and store it."""

from umap_sweep import job
from umap_sweep.sources import rows, target

with job.running(snakemake.log[0], snakemake.params.code, [snakemake.input.data]):
    rows.compute(
        snakemake.wildcards.dataset,
        snakemake.params.source,
        snakemake.input.get("source") or None,
        snakemake.input.data,
        snakemake.output[0],
        parent=snakemake.params.parent,
    )
    if snakemake.params.target:  # what cannot be one is refused before a k-NN is computed
        target.target_of(snakemake.output[0], *snakemake.params.target)
