"""Prepare the features of a data set, step by step."""

from umap_sweep import job
from umap_sweep.stages import preparation

with job.running(snakemake.log[0], snakemake.params.code, [snakemake.input.data]):
    preparation.compute(
        snakemake.input.data,
        snakemake.output.prepared,
        snakemake.output.fitted,
        snakemake.wildcards.preparation,
        snakemake.params.steps,
        snakemake.params.held["blas_threads"],
    )
