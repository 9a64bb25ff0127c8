"""Prune the k-NN to one n_neighbors, and make its fuzzy graph."""

from umap_sweep import job
from umap_sweep.stages import graph

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    graph.compute(
        snakemake.input.knn,
        snakemake.output.edges,
        snakemake.output.vertices,
        n_neighbors=int(snakemake.wildcards.n_neighbors),
        umap=snakemake.params.umap,
        blas_threads=snakemake.params.held["blas_threads"],
        rows=snakemake.input.get("rows") or None,
    )
