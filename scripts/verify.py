"""Hold what was computed once more against what is stored."""

from umap_sweep import job
from umap_sweep.reproduce import verify

with job.running(snakemake.log[0], snakemake.params.code):
    verify.run(
        list(snakemake.params.stored),
        list(snakemake.params.stored.values()),
        snakemake.params.folder,
        snakemake.params.fingerprints,
        snakemake.params.strict,
    )
