"""Join the comparisons of seeds into one table."""

from umap_sweep import job
from umap_sweep.quality import stability

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    stability.join(snakemake.input, snakemake.output.parquet, snakemake.output.csv)
