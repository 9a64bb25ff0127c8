"""Draw what changes from cell to cell and from seed to seed."""

from umap_sweep import job
from umap_sweep.figures import changes

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    changes.plot_changes(
        snakemake.input.neighboring_cells,
        snakemake.input.get("stability"),
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.plot,
        snakemake.params.dataset,
    )
