"""Write the fingerprints of every stage into a small file that is worth committing."""

from umap_sweep import job
from umap_sweep.reproduce import fingerprints

with job.running(snakemake.log[0], snakemake.params.code):
    fingerprints.write(list(snakemake.input), snakemake.output[0])
