"""Compare every cell with the next one along n_neighbors and along min_dist."""

from umap_sweep import job
from umap_sweep.quality import neighboring_cells

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    neighboring_cells.compute(
        snakemake.input.layouts,
        snakemake.input.neighbors,
        snakemake.params.cell_keys,
        snakemake.output.parquet,
        snakemake.output.csv,
    )
