"""Measure the labels and annotations in all cells."""

from umap_sweep import job
from umap_sweep.quality import annotation_metrics

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    annotation_metrics.compute(
        *(snakemake.input[name] for name in ("layouts", "neighbors", "rows", "knn", "sample")),
        *(snakemake.output[name] for name in ("labels", "parquet", "csv")),
        keys=snakemake.params.cell_keys,
        label_kind=snakemake.params.label_kind,
        **snakemake.params.umap,
    )
