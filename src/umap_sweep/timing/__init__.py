"""How long the grid takes, here and by umap-learn."""
