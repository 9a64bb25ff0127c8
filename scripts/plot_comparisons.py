"""Draw which settings can be told apart."""

from umap_sweep import job
from umap_sweep.figures import comparisons

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    comparisons.plot_comparisons(
        snakemake.input.metrics,
        snakemake.input.get("stability"),
        snakemake.input.comparisons,
        snakemake.input.shortlist,
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.plot,
        snakemake.params.dataset,
    )
