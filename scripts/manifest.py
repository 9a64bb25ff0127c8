"""Write down what was run on what, from the results themselves."""

from umap_sweep import job
from umap_sweep.results import manifest

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input.stages):
    manifest.write(list(snakemake.input.stages), list(snakemake.input.files), snakemake.output[0])
