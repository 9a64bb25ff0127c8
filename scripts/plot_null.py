"""Draw each metric of the sweep beside what it is on permuted data."""

from umap_sweep import job
from umap_sweep.figures import null

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    null.plot_null(
        snakemake.input.null,
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.plot,
        snakemake.params.dataset,
    )
