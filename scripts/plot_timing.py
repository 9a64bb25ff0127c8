"""Draw the timed stages as bars."""

from umap_sweep import job
from umap_sweep.figures import timing

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    timing.plot_timing(
        snakemake.input[0],
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.dataset,
        snakemake.params.dpi,
    )
