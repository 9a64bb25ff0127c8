"""Draw one cell at the size at which it is printed."""

from umap_sweep import job
from umap_sweep.figures import cell

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    cell.plot_cell(
        snakemake.input.layout,
        snakemake.input.rows,
        snakemake.output,
        snakemake.params.figure,
        snakemake.params.label_kind,
        snakemake.wildcards.dataset,
    )
