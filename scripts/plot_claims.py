"""Draw the pictures behind the claims."""

from umap_sweep import job
from umap_sweep.figures import claims

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    claims.plot_claims(
        snakemake.input.claims,
        snakemake.input.first,
        snakemake.input.again,
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.dataset,
        snakemake.params.plot,
    )
