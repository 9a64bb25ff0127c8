"""Measure all cells of one row of the grid."""

from umap_sweep import job
from umap_sweep.quality import cell_metrics

with job.running(snakemake.log[0], snakemake.params.code):
    cell_metrics.compute(
        *(snakemake.input[name] for name in ("embeddings", "knn", "sample", "ranks", "pairs", "triplets")),
        *(snakemake.output[name] for name in ("points", "neighbors", "metrics")),
        label_kind=snakemake.params.label_kind,
        keys=snakemake.params.cell_keys,
    )
