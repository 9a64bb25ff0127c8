"""The null of a data set: the same rows, with the values of each column permuted independently of the other columns.

Each column keeps its values, and nothing is left of what columns have to do with one another, so that there is nothing
for an embedding to find. As a null it is due to EMBEDR (Johnson and others, 2022, Patterns 3) and scDEED (Xia and
others, 2024, Nature Communications 15), which hold the points of an embedding against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from umap_sweep import store
from umap_sweep.sources import data_table
from umap_sweep.sources.subset import Parent

# Columns are taken out of the matrix so many at a time: their values in a row fill a line of the processor's cache.
COLUMNS = 16


def read_features(source: Mapping[str, Any], parent: Parent) -> data_table.Features:
    """Return the features of a stored data set with each column permuted.

    Parameters
    ----------
    source : mapping
        `of`, the name of the data set, and `seed`.
    parent : mapping of str to path
        Its stored files, of which the features alone are read.

    Raises
    ------
    InputError
        Where the file is missing or damaged.
    """
    matrix = store.read_features(parent["data"])
    permute_columns(matrix, source["seed"])
    return data_table.matrix_features(matrix, source["of"], store.read_record(parent["data"])["feature_names"])


def permute_columns(matrix: np.ndarray, seed: int) -> None:
    """Permute the values of each column in place, each by a permutation of its own.

    Parameters
    ----------
    matrix : ndarray, shape (n, d)
        Changed; little more than itself is held in memory.
    seed : int
        Of `numpy.random.RandomState`, whose numbers stay the same in all versions of numpy.
    """
    random = np.random.RandomState(seed)
    for start in range(0, matrix.shape[1], COLUMNS):
        columns = np.ascontiguousarray(matrix[:, start : start + COLUMNS].T)
        for column in columns:
            random.shuffle(column)
        matrix[:, start : start + COLUMNS] = columns.T
