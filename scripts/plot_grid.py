"""Draw the n_neighbors × min_dist figure."""

from umap_sweep import job
from umap_sweep.figures import grid

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    grid.plot_grid(
        snakemake.input.sweep,
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.plot,
        snakemake.params.dataset,
        snakemake.params.metric,
        snakemake.params.knn_seed,
        snakemake.params.seed,
        snakemake.params.method,
        snakemake.input.get("rows") or None,
        snakemake.params.annotation,
        snakemake.params.umap,
    )
