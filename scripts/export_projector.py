"""Write one cell for TensorBoard's projector."""

from umap_sweep import job
from umap_sweep.results import export

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    export.projector(
        snakemake.input.layout, snakemake.input.rows, snakemake.params.name, dict(snakemake.output.items())
    )
