"""Tell how much of the variance each principal component explains."""

from umap_sweep import job
from umap_sweep.quality import explained_variance

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    explained_variance.join(snakemake.input.prepared, snakemake.output.parquet, snakemake.output.csv)
