"""Say which statements hold on this machine, and fail where one does not."""

from umap_sweep import job
from umap_sweep.reproduce import claims

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    claims.say(snakemake.input.claims, snakemake.input.plot, snakemake.params.dataset)
