"""Draw the settings that no other beats."""

from umap_sweep import job
from umap_sweep.figures import choice

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    choice.plot_choice(
        snakemake.input.choice,
        snakemake.input.rows,
        snakemake.input.layouts,
        snakemake.params.cell_keys,
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.plot,
        snakemake.params.dataset,
    )
