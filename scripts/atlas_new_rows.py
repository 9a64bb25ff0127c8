"""Make the page that shows new rows over a cell."""

from umap_sweep import job, lineage
from umap_sweep.atlas import new_rows

with job.running(snakemake.log[0], snakemake.params.code):
    given, reads = snakemake.input, snakemake.params.code["reads"]
    # Each by itself, because the data differ.
    lineage.check([given.rows, given.knn, given.layout, given.placed, given.neighbors], reads)
    lineage.check([given.new_rows], reads)
    new_rows.make(
        given.rows,
        given.knn,
        given.layout,
        given.placed,
        given.neighbors,
        given.new_rows,
        snakemake.output[0],
        dataset=snakemake.params.dataset,
        name=snakemake.params.name,
        metric=snakemake.params.metric,
        cell=snakemake.params.cell,
        shared=snakemake.params.shared,
        settings=snakemake.params.atlas,
        label_kind=snakemake.params.label_kind,
    )
