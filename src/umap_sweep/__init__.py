"""umap-sweep: one seeded k-NN, a grid of UMAP embeddings, the same bytes every time."""

__version__ = "0.2.0"
