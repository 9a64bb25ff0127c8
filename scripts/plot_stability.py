"""Draw how much other seeds change each cell."""

from umap_sweep import job
from umap_sweep.figures import stability

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    stability.plot_stability(
        snakemake.input.stability,
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.plot,
        snakemake.params.dataset,
    )
