"""Join the metrics of all cells, and what their layouts cost."""

from umap_sweep import job
from umap_sweep.quality import metrics

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    metrics.join(
        snakemake.input.metrics,
        snakemake.input.label_metrics,
        snakemake.input.costs,
        snakemake.params.cell_keys,
        snakemake.output.parquet,
        snakemake.output.csv,
    )
