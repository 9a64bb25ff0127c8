"""Write cells with the ids and labels of their rows."""

from umap_sweep import job
from umap_sweep.results import embedding

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    embedding.compute(snakemake.input.layouts, snakemake.input.rows, list(snakemake.output))
