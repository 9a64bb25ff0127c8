"""Time one way of running the grid, stage by stage."""

from umap_sweep import job
from umap_sweep.timing import arms

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    arms.compute(
        snakemake.input.data,
        snakemake.output[0],
        arm=snakemake.wildcards.arm,
        fits=snakemake.params.fits,
        cells=snakemake.params.cells,
        settings=snakemake.params.settings,
        threads=snakemake.threads,
        snakefile=snakemake.params.snakefile,
    )
