"""Tell which features decide the distances, and which columns and rows repeat others."""

from umap_sweep import job
from umap_sweep.quality import feature_shares

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    feature_shares.compute(
        snakemake.input.data,
        snakemake.output.parquet,
        snakemake.output.csv,
        metric=snakemake.params.metric,
        metric_kwds=snakemake.params.metric_kwds,
        seed=snakemake.params.seed,
    )
