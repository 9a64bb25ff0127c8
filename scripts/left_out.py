"""Tell which neighbours stay where a tenth of the rows is left out."""

from umap_sweep import job, lineage
from umap_sweep.quality import left_out

with job.running(snakemake.log[0], snakemake.params.code):
    given, reads = snakemake.input, snakemake.params.code["reads"]
    draws = left_out.by_draw(given.data, given.remaining)
    # Each by itself, because the data differ.
    lineage.check(list(dict.fromkeys([*given.whole, *given.layouts])), reads)
    for data, layouts in draws:
        lineage.check([data, *layouts], reads)
    left_out.compute(given.whole, draws, given.layouts, snakemake.output.parquet, snakemake.output.csv)
