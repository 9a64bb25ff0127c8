"""Choose the rows, pairs and triplets that cells are measured on, and what they are in the data."""

from umap_sweep import job
from umap_sweep.quality import high_dimensional

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    high_dimensional.compute(
        snakemake.input.data,
        snakemake.output.sample,
        snakemake.output.ranks,
        snakemake.output.pairs,
        snakemake.output.triplets,
        metric=snakemake.wildcards.metric,
        metric_kwds=snakemake.params.metric_kwds,
        metrics=snakemake.params.metrics,
    )
