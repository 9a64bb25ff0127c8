"""Write all cells into one AnnData file."""

from umap_sweep import job
from umap_sweep.results import export_anndata

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    export_anndata.export(
        snakemake.input.data,
        snakemake.input.rows,
        snakemake.input.layouts,
        snakemake.params.cell_keys,
        snakemake.output[0],
        snakemake.params.dataset,
        snakemake.input.own or None,
        snakemake.params.id,
    )
