"""Compare the seeds of one n_neighbors and min_dist, two by two."""

from umap_sweep import job
from umap_sweep.quality import seed_pairs

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    seed_pairs.compute(
        snakemake.input.layouts,
        snakemake.input.neighbors,
        snakemake.params.cell_keys,
        snakemake.output.points,
        snakemake.output.pairs,
    )
