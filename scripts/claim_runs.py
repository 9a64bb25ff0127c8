"""Run the arms of umap-learn's statements on reproducibility, in one process."""

from umap_sweep import job
from umap_sweep.reproduce import claim_runs

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    claim_runs.compute(
        snakemake.input.data,
        snakemake.input.rows,
        snakemake.output[0],
        n_neighbors=snakemake.params.n_neighbors,
        backwards=snakemake.wildcards.process == "again",
    )
