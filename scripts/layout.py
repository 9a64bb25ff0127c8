"""Lay out one or several cells of one row of the grid."""

from umap_sweep import job
from umap_sweep.stages import layouts

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    layouts.compute(
        snakemake.input.edges,
        snakemake.input.vertices,
        snakemake.input.initial_layout,
        snakemake.output.layouts,
        min_dist=snakemake.params.min_dist,
        key=snakemake.params.key,
        umap=snakemake.params.umap,
        costs=snakemake.output.costs,
    )
