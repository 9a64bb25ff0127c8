"""Draw how much of the variance the principal components explain."""

from umap_sweep import job
from umap_sweep.figures import explained_variance

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    explained_variance.plot_explained_variance(
        snakemake.input.explained,
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.dataset,
        snakemake.params.dpi,
    )
