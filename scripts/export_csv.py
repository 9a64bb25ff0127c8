"""Write one cell as a table for R and spreadsheets."""

from umap_sweep import job
from umap_sweep.results import export

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    export.table(snakemake.input.layout, snakemake.input.rows, snakemake.output[0])
