"""Data of any size with the structure that UMAP is used on: clusters that overlap, of few dimensions among many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from umap_sweep import store

CLUSTERS, LATENT = 20, 10


def draw(rows: int, dimensions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw points from overlapping Gaussian clusters.

    Parameters
    ----------
    rows, dimensions, seed : int

    Returns
    -------
    features : ndarray of float32, shape (rows, dimensions)
        20 clusters of unit spread in up to 10 dimensions, turned into the columns, plus noise of a tenth of it.
    clusters : ndarray of int64, shape (rows,)
    """
    random = np.random.default_rng(seed)
    latent = min(LATENT, dimensions)
    centres = random.normal(scale=0.7, size=(CLUSTERS, latent)).astype(np.float32)
    turn = random.normal(size=(latent, dimensions)).astype(np.float32) / np.float32(latent**0.5)
    clusters = random.integers(CLUSTERS, size=rows)
    points = centres[clusters] + random.standard_normal((rows, latent), dtype=np.float32)
    drawn = points @ turn
    drawn += np.float32(0.1) * random.standard_normal((rows, dimensions), dtype=np.float32)
    return drawn, clusters


def write(path: Path, rows: int, dimensions: int, seed: int) -> None:
    """Store such data as the pipeline stores a data set, the cluster as label."""
    features, clusters = draw(rows, dimensions, seed)
    table = pa.table({"features": store.lists(features)})
    fingerprint = store.fingerprint(table)
    about = {"rows": rows, "source_rows": rows, "origin": {"seed": seed}}
    names = [str(column) for column in range(dimensions)]
    record = store.make_record("data", {}, fingerprint, feature_names=names, **about)
    store.write(path, table.append_column("label", pa.array(clusters)), record)
