"""Lay out one cell of the sweep."""

from umap_sweep import job
from umap_sweep.stages import embedding

with job.running(snakemake.log[0], snakemake.params.code):
    embedding.compute(
        snakemake.input.data,
        snakemake.input.edges,
        snakemake.input.vertices,
        snakemake.input.initial_layout,
        snakemake.output[0],
        min_dist=float(snakemake.wildcards.min_dist),
        key=snakemake.params.key,
        umap=snakemake.params.umap,
    )
