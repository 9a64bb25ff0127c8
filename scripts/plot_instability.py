"""Draw which points other seeds move."""

from umap_sweep import job
from umap_sweep.figures import instability

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    instability.plot_instability(
        snakemake.input.sweep,
        snakemake.input.points,
        snakemake.params.cells,
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.plot,
        snakemake.params.dataset,
        snakemake.params.knn_seed,
        snakemake.params.seed,
        snakemake.params.method,
    )
