"""Compute the k-NN of a data set once, for the largest k of a sweep, or store one that was made elsewhere."""

from umap_sweep import job
from umap_sweep.stages import knn

with job.running(snakemake.log[0], snakemake.params.code, [snakemake.input.data]):
    knn.make(
        snakemake.input.data,
        snakemake.input.imported or None,
        snakemake.output[0],
        k=int(snakemake.params.k),
        metric=snakemake.params.metric,
        method=snakemake.params.method,
        seed=int(snakemake.params.seed),
        n_jobs=int(snakemake.params.n_jobs),
        metric_kwds=snakemake.params.metric_kwds,
        neighbors_key=snakemake.params.neighbors_key,
        threads=snakemake.threads,
        rows=snakemake.input.get("rows") or None,
    )
