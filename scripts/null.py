"""Hold metrics and points of the sweep against those of permuted data."""

from umap_sweep import job, lineage
from umap_sweep.quality import null

with job.running(snakemake.log[0], snakemake.params.code):
    given, reads = snakemake.input, snakemake.params.code["reads"]
    nulls = null.by_permutation(
        given.data, *(given[name] for name in ("null_metrics", "null_points", "null_contributions"))
    )
    # Each by itself, because they are of different data.
    lineage.check([given.metrics, *given.points, *given.contributions], reads)
    for one in nulls:
        lineage.check(one.files, reads)
    null.compute(
        *(given[name] for name in ("metrics", "points", "contributions")),
        nulls,
        *(snakemake.output[name] for name in ("trust", "parquet", "csv")),
    )
