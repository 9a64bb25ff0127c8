"""Compare the settings that are left, and drop the beaten."""

from umap_sweep import job
from umap_sweep.quality import choice

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    choice.compute(
        *(snakemake.input[name] for name in ("metrics", "contributions", "neighbors")),
        snakemake.params.cell_keys,
        snakemake.input.get("previous"),
        snakemake.params.settings,
        int(snakemake.wildcards.look),
        snakemake.params.is_last,
        snakemake.params.worth,
        snakemake.output.settings,
        snakemake.output.comparisons,
    )
