"""Draw the metrics of all cells as heatmaps."""

from umap_sweep import job
from umap_sweep.figures import metrics

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    metrics.plot_metrics(
        snakemake.input.metrics,
        snakemake.input.shortlist,
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.plot,
        snakemake.params.dataset,
    )
