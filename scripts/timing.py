"""Say how long the grid takes here and by umap-learn."""

from umap_sweep import job
from umap_sweep.timing import report

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    report.say(snakemake.input.timing, snakemake.input.plot, snakemake.params.dataset)
