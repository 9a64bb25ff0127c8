"""Write one cell for Embedding Atlas."""

from umap_sweep import job
from umap_sweep.results import export

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    export.embedding_atlas(snakemake.input.layout, snakemake.input.rows, snakemake.input.knn, snakemake.output[0])
