"""Write the recipe of a cell."""

from umap_sweep import job
from umap_sweep.results import recipe

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    recipe.write(
        snakemake.input.data,
        snakemake.input.rows,
        snakemake.input.knn,
        snakemake.input.layout,
        list(snakemake.output),
        snakemake.wildcards.dataset,
    )
