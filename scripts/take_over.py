"""Take over results that were moved without their times, as far as their records prove what they are."""

from umap_sweep import job
from umap_sweep.results import take_over

with job.running(snakemake.log[0], snakemake.params.code):
    take_over.run(
        snakemake.params.files,
        snakemake.params.code["reads"],
        snakemake.params.features_are_stored,
        snakemake.params.benchmarks,
    )
