"""Draw which features decide the distances."""

from umap_sweep import job
from umap_sweep.figures import features

with job.running(snakemake.log[0], snakemake.params.code, snakemake.input):
    features.plot_features(
        snakemake.input.features,
        snakemake.output.png,
        snakemake.output.vector,
        snakemake.params.dataset,
        snakemake.params.dpi,
    )
