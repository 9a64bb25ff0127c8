"""Join the timed arms into one table."""

from umap_sweep import job
from umap_sweep.timing import table

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    table.join(list(snakemake.input), snakemake.output.parquet, snakemake.output.csv)
