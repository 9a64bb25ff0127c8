"""Place new rows on a cell."""

from umap_sweep import job, lineage
from umap_sweep.stages import new_rows

with job.running(snakemake.log[0], snakemake.params.code):
    given, reads = snakemake.input, snakemake.params.code["reads"]
    # Each by itself, because the data differ.
    lineage.check([given.data, *given.fitted, given.knn, given.layout], reads)
    lineage.check([given.new_data, given.new_rows], reads)
    new_rows.compute(
        given.data,
        given.knn,
        given.layout,
        given.new_data,
        given.new_rows,
        snakemake.output.placed,
        snakemake.output.neighbors,
        name=snakemake.params.name,
        n_neighbors=int(snakemake.params.n_neighbors),
        min_dist=float(snakemake.params.min_dist),
        metric=snakemake.params.metric,
        umap=snakemake.params.umap,
        seed=snakemake.params.seed,
        together=snakemake.params.together,
        threads=snakemake.threads,
        fitted=next(iter(given.fitted), None),
    )
