"""Join what all looks found."""

from umap_sweep import job
from umap_sweep.quality import choice

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    choice.conclude(
        snakemake.input.settings,
        snakemake.input.comparisons,
        snakemake.output.parquet,
        snakemake.output.csv,
    )
