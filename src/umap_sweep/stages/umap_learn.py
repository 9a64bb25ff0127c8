"""What umap-learn 0.5.12 decides by itself, and a sweep has to decide in the same way."""

# umap-learn compares all pairs of rows below this many rows, and approximates from this many on.
SMALL_DATA = 4096

# By metric, the distance from which on umap-learn treats two rows as disconnected.
DISCONNECTION_DISTANCES = {"correlation": 2, "cosine": 2, "hellinger": 1, "jaccard": 1, "dice": 1, "bit_jaccard": 1}


def default_epochs(n_rows: int, densmap: bool = False) -> int:
    """Return umap-learn's number of epochs for a data set of `n_rows`."""
    return (500 if n_rows <= 10000 else 200) + (200 if densmap else 0)
