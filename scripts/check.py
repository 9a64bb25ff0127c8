"""Hold every finished file against the manifest, and fail where one is not as it was."""

from umap_sweep import job
from umap_sweep.results import manifest

with job.running(snakemake.log[0], snakemake.params.code):
    manifest.run_check(snakemake.params.manifest)
