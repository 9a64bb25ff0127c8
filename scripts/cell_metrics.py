"""Measure all cells of one row of the grid."""

from umap_sweep import job
from umap_sweep.quality import cell_metrics

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    cell_metrics.compute(
        *(snakemake.input[name] for name in ("layouts", "knn", "sample", "ranks", "pairs", "triplets")),
        *(snakemake.output[name] for name in ("points", "neighbors", "metrics", "contributions")),
        keys=snakemake.params.cell_keys,
        edges=snakemake.input.edges,
        spread=snakemake.params.umap["spread"],
    )
