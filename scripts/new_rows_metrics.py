"""Measure how new rows lie on a cell."""

from umap_sweep import job, lineage
from umap_sweep.quality import new_rows_metrics

with job.running(snakemake.log[0], snakemake.params.code):
    given, reads = snakemake.input, snakemake.params.code["reads"]
    lineage.check([given.layout, given.rows, given.placed], reads)
    lineage.check([given.new_rows], reads)  # by itself, because the data differ
    new_rows_metrics.compute(
        given.layout,
        given.rows,
        given.placed,
        given.new_rows,
        snakemake.output[0],
        label_kind=snakemake.params.label_kind,
    )
