"""Draw new rows over a cell."""

from umap_sweep import job
from umap_sweep.figures import new_rows

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    new_rows.plot_new_rows(
        snakemake.input.layout,
        snakemake.input.rows,
        snakemake.input.placed,
        snakemake.input.metrics,
        snakemake.output.png,
        snakemake.output.vector,
        plot=snakemake.params.plot,
        dataset=snakemake.params.dataset,
        new=snakemake.params.name,
        cell=snakemake.params.cell,
    )
