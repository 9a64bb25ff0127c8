"""Write down what was run on what, from the results themselves."""

from umap_sweep import job
from umap_sweep.results import manifest

with job.running(snakemake.log[0], snakemake.params.code):
    manifest.write(list(snakemake.input), snakemake.output[0], snakemake.params.today)
