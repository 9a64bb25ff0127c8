"""Judge the statements by what two processes have computed."""

from umap_sweep import job
from umap_sweep.reproduce import judge_claims

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    judge_claims.compute(snakemake.input.first, snakemake.input.again, snakemake.output.parquet, snakemake.output.csv)
