"""Join all cells into one tidy table."""

from umap_sweep import job
from umap_sweep.results import sweep

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    sweep.join(
        snakemake.input.layouts,
        snakemake.input.rows,
        snakemake.params.cell_keys,
        snakemake.output[0],
    )
