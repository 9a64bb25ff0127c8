"""Write one cell with the ids and labels of its rows."""

from umap_sweep import job
from umap_sweep.results import embedding

with job.running(snakemake.log[0], snakemake.params.code):
    embedding.compute(
        snakemake.input.layout,
        snakemake.input.rows,
        snakemake.output[0],
        snakemake.params.key,
    )
