"""Place every point where the layout starts, for one n_neighbors and seed."""

from umap_sweep import job
from umap_sweep.stages import initial_layout

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    initial_layout.compute(
        snakemake.input.data,
        snakemake.input.knn,
        snakemake.input.edges,
        snakemake.input.vertices,
        snakemake.output[0],
        seed=int(snakemake.wildcards.seed),
        metric=snakemake.wildcards.metric,
        umap=snakemake.params.umap,
    )
