"""Write the page of the choice."""

from umap_sweep import job
from umap_sweep.figures import choice_page

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    choice_page.compute(
        snakemake.input.choice,
        snakemake.input.png,
        snakemake.output[0],
        snakemake.params.configuration,
        snakemake.params.grid,
    )
