"""Make the page that shows all cells."""

from umap_sweep import job
from umap_sweep.atlas import page

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    page.make(
        snakemake.input.data,
        snakemake.input.rows,
        snakemake.input.knn,
        snakemake.input.layouts,
        snakemake.output[0],
        dataset=snakemake.params.dataset,
        metric=snakemake.params.metric,
        cells=snakemake.params.cells,
        shared=snakemake.params.shared,
        settings=snakemake.params.atlas,
        label_kind=snakemake.params.label_kind,
        metrics=snakemake.input.get("metrics") or None,
        recall=snakemake.input.get("recall", []),
        instability=snakemake.input.get("instability", []),
        trust=snakemake.input.get("trust", []),
        shortlist=snakemake.input.get("shortlist"),
    )
