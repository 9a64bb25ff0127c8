"""Measures of an embedding: against the data it was made from, and against another embedding.

All take plain arrays and leave aside what files and cells are. Neighbours never include the point itself, and a row
number of -1 stands for a neighbour that is not there. Where a method has a name, its source stands with it; the tests
hold every one against scikit-learn or SciPy, value by value.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # What only draws shall not wait for SciPy.
    from scipy.spatial import cKDTree

# Columns of the metrics' table: what figures and atlas call them, and what each looks at.
TITLES = {
    "recall_15": ("Recall at 15", "nearest neighbours kept"),
    "recall_50": ("Recall at 50", "nearest neighbours kept"),
    "recall_150": ("Recall at 150", "nearest neighbours kept"),
    "trustworthiness": ("Trustworthiness", "no false neighbours, 15"),
    "continuity": ("Continuity", "no neighbours torn apart, 15"),
    "label_accuracy": ("Label accuracy", "of the 15 nearest points' majority"),
    "triplet_accuracy": ("Triplet accuracy", "order of distances, 0.5 is chance"),
    "distance_correlation": ("Distance correlation", "Spearman's, all distances"),
    "silhouette": ("Silhouette of labels", "rewards a small min_dist"),
    "disconnected": ("Disconnected", "share of rows without a place"),
    "layout_seconds": ("Seconds", "of the layout's job, as measured"),
    "layout_memory_mb": ("Memory, MiB", "of the layout's job, as measured"),
}


def compared_rows(n_rows: int, full_up_to: int, sample: int) -> int:
    """Return how many of `n_rows` rows are compared with all others, by two settings of the section `metrics`."""
    return n_rows if n_rows <= full_up_to else min(n_rows, sample)


def others(neighbors: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Take each point itself out of its list of neighbours, wherever it stands, and keep the `k` first of the rest.

    Parameters
    ----------
    neighbors : ndarray of int, shape (m, at least k + 1)
        Row numbers, nearest first. A point is found at another place than the first where it has duplicates, and may
        be missing where it has many.
    rows : ndarray of int, shape (m,)
        The points' own row numbers.
    k : int

    Returns
    -------
    ndarray of int32, shape (m, k)
    """
    kept = neighbors != rows[:, None]
    kept[kept.all(axis=1), -1] = False  # where the point itself is missing, the farthest makes room
    return neighbors[kept].reshape(len(neighbors), -1)[:, :k].astype(np.int32)


def nearest(tree: cKDTree, points: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Return the `k` nearest other points of each of `points` among those of a tree.

    Parameters
    ----------
    tree : scipy.spatial.cKDTree
        Of all points.
    points : ndarray of float, shape (m, d)
        Some of them.
    rows : ndarray of int, shape (m,)
        Their places in the tree.
    k : int
        Less than the number of points in the tree.

    Returns
    -------
    ndarray of int32, shape (m, k)
        Places in the tree, nearest first.
    """
    found = np.empty((len(points), k + 1), dtype=np.int32)
    # One after the other as they lie in the tree, so that what a query reads is still in the processor's cache.
    order = np.argsort(np.argsort(tree.indices)[rows])
    found[order] = tree.query(points[order], k + 1)[1].reshape(len(points), k + 1)
    return others(found, rows, k)


def overlap(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return for each point which share of its neighbours on the left is among those on the right.

    Its mean is the recall of neighbours, Q_NX of Lee and Verleysen (2009), Neurocomputing 72, where both sides have as
    many.

    Parameters
    ----------
    left : ndarray of int, shape (m, k)
        Row numbers; -1 counts as no neighbour.
    right : ndarray of int, shape (m, l)

    Returns
    -------
    ndarray of float64, shape (m,)
        NaN where a point has no neighbour on one of the two sides.
    """
    there = left >= 0
    found = np.zeros(len(left), dtype=np.int32)
    # By ranks, because comparing two long columns is what a processor does fastest.
    columns = np.ascontiguousarray(right.T)
    for rank in range(left.shape[1]):
        one = np.ascontiguousarray(left[:, rank])
        among = np.zeros(len(left), dtype=bool)
        for column in columns:
            among |= column == one
        found += among & there[:, rank]
    with np.errstate(invalid="ignore"):
        share = found / there.sum(axis=1)
    share[(right < 0).all(axis=1)] = np.nan
    return share


def trustworthiness(ranks: np.ndarray, k: int, points: int) -> float:
    """Return the trustworthiness or the continuity of Venna and Kaski (2001), from ranks.

    Trustworthiness takes the `k` neighbours of a point in the embedding and asks how far off they are in the data:
    points that the embedding puts together wrongly. Continuity takes the `k` neighbours in the data and asks how far
    off they are in the embedding: neighbours that it tears apart. `sklearn.manifold.trustworthiness` has the first, and
    the second with data and embedding exchanged.

    Parameters
    ----------
    ranks : ndarray of float, shape (m, k)
        For m of the points, the ranks of these neighbours in the other space; the nearest other point has rank 1.
    k : int
        Less than half of `points`.
    points : int
        All points that ranks count, n.

    Returns
    -------
    float
        1 - 2 / (m k (2n - 3k - 1)) Σ max(rank - k, 0): 1 where nothing is lost. With m = n it is the value itself, with
        a random sample of the points an estimate without bias. NaN where m is 0.
    """
    if not len(ranks):
        return float("nan")
    penalty = np.maximum(ranks - k, 0).sum()
    return float(1 - 2 / (len(ranks) * k * (2 * points - 3 * k - 1)) * penalty)


def ranks_within(tree: cKDTree, points: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Return the ranks that given neighbours of some points have among all points of a tree.

    Parameters
    ----------
    tree : scipy.spatial.cKDTree
        Of all points.
    points : ndarray of float, shape (m, d)
    neighbors : ndarray of int, shape (m, k)
        Places in the tree.

    Returns
    -------
    ndarray of int64, shape (m, k)
        The number of other points that are as near or nearer.
    """
    distances = np.linalg.norm(tree.data[neighbors] - points[:, None].astype(np.float64), axis=2)
    # A little farther, so that rounding does not leave the neighbour itself out.
    within = tree.query_ball_point(
        np.repeat(points, neighbors.shape[1], axis=0), distances.ravel() * (1 + 1e-12), return_length=True
    )
    return within.reshape(neighbors.shape) - 1


def distances(points: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances of pairs of points, float64, shape (pairs,)."""
    squares = np.zeros(len(first))
    for axis in points.T.astype(np.float64):
        squares += (axis[first] - axis[second]) ** 2
    return np.sqrt(squares)


def triplet_accuracy(points: np.ndarray, row: np.ndarray, near: np.ndarray, far: np.ndarray) -> float:
    """Return the share of random triplets whose order of distances the embedding keeps (Wang and others, 2021).

    Wang, Huang, Rudin and Shaposhnik: Understanding How Dimension Reduction Tools Work, JMLR 22. 0.5 is chance, 1 keeps
    every order; most triplets lie far apart, so that this is a measure of global structure.

    Parameters
    ----------
    points : ndarray of float, shape (n, d)
    row, near, far : ndarray of int, shape (triplets,)
        A point, and the nearer and the farther of two others in the data.
    """
    return float((distances(points, row, near) < distances(points, row, far)).mean())


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks of values, from 1; equal values share the mean of theirs.

    As `scipy.stats.rankdata`, whose import takes longer than the sorting.

    Parameters
    ----------
    values : ndarray of float, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    order = np.argsort(values)
    ascending = values[order]
    starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
    sizes = np.diff(np.r_[starts, len(values)])
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(starts + (sizes + 1) / 2, sizes)
    return ranks


def spearman(left_ranks: np.ndarray, right_ranks: np.ndarray) -> float:
    """Return Spearman's rank correlation from average ranks, as `scipy.stats.spearmanr` does; NaN where all are equal.

    Between the distances of pairs of points in the data and in the embedding it is a measure of global structure, the
    CPD of Kobak and Berens (2019), Nature Communications 10.
    """
    left, right = left_ranks - left_ranks.mean(), right_ranks - right_ranks.mean()
    scale = np.sqrt((left @ left) * (right @ right))
    return float(left @ right / scale) if scale else float("nan")


def label_accuracy(codes: np.ndarray, neighbors: np.ndarray) -> float:
    """Return how often the most frequent label among a point's neighbours is its own.

    As `sklearn.neighbors.KNeighborsClassifier` predicts points that are not their own neighbours (leave-one-out); of
    labels equally frequent it takes the first.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Label of each point, in the labels' order; -1 where it has none, which neither votes nor is judged.
    neighbors : ndarray of int, shape (n, k)
        Row numbers, k at most 255; -1 counts as no neighbour.

    Returns
    -------
    float
        NaN where no point with neighbours has a label.
    """
    near = np.ascontiguousarray(neighbors.T)
    labels = np.where(near >= 0, codes[near], -1)
    votes = np.ones(labels.shape, dtype=np.uint8)
    for one, other in itertools.combinations(range(len(labels)), 2):
        alike = labels[one] == labels[other]
        votes[one] += alike
        votes[other] += alike
    votes[labels < 0] = 0
    leading = (votes == votes.max(axis=0)) & (labels >= 0)
    winner = np.where(leading, labels, np.iinfo(labels.dtype).max).min(axis=0)
    counted = (codes >= 0) & (near >= 0).any(axis=0)
    return float((winner == codes)[counted].mean()) if counted.any() else float("nan")


def silhouette(points: np.ndarray, codes: np.ndarray) -> float:
    """Return the mean silhouette of Rousseeuw (1987), as `sklearn.metrics.silhouette_score` defines it.

    How much nearer points are to those of their own label than to those of the nearest other label, from -1 to 1. It
    rewards tight clumps with empty space between them, and so a small min_dist, whatever the data looks like.

    Parameters
    ----------
    points : ndarray of float, shape (m, d)
    codes : ndarray of int, shape (m,)
        Label of each; -1 where it has none.

    Returns
    -------
    float
        A point alone with its label counts as 0. NaN with fewer than two labels, or none that two points share.
    """
    from scipy.spatial.distance import cdist

    labelled = np.flatnonzero(codes >= 0)
    order = labelled[np.argsort(codes[labelled], kind="stable")]
    present, starts, sizes = np.unique(codes[order], return_index=True, return_counts=True)
    if not 2 <= len(present) < len(order):
        return float("nan")
    place = np.repeat(np.arange(len(present)), sizes)
    rows = np.arange(len(order))
    mean = np.add.reduceat(cdist(points[order], points[order]), starts, axis=1)
    own_size = sizes[place]
    inside = mean[rows, place] / np.maximum(own_size - 1, 1)
    mean /= sizes
    mean[rows, place] = np.inf
    outside = mean.min(axis=1)
    greater = np.maximum(inside, outside)
    score = np.divide(outside - inside, greater, out=np.zeros(len(order)), where=(greater > 0) & (own_size > 1))
    return float(score.mean())


def disparity(left: np.ndarray, right: np.ndarray) -> float:
    """Return the Procrustes disparity of two embeddings of the same points (Gower, 1975; `scipy.spatial.procrustes`).

    Parameters
    ----------
    left, right : ndarray of float, shape (n, d)
        NaN for a point without a place; only points with a place in both count.

    Returns
    -------
    float
        What is left of the sum of squares, scaled to 1, after the best shift, rotation, reflection and scaling: 0 for
        the same picture, near 1 for unrelated ones. It is about the arrangement of the whole. NaN for fewer than two
        distinct points.
    """
    from scipy.spatial import procrustes

    both = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
    left, right = left[both].astype(np.float64), right[both].astype(np.float64)
    if len(left) < 2 or not (np.ptp(left, axis=0).any() and np.ptp(right, axis=0).any()):
        return float("nan")
    return float(procrustes(left, right)[2])


def middle_cell(keys: Iterable[tuple[int, float]]) -> tuple[int, float]:
    """Return the cell in the middle of a grid, by n_neighbors and min_dist; of its cells, where it has a hole there."""
    keys = sorted(keys)
    rows, columns = (sorted({key[axis] for key in keys}) for axis in (0, 1))
    middle = rows[(len(rows) - 1) // 2], columns[(len(columns) - 1) // 2]
    return middle if middle in keys else keys[(len(keys) - 1) // 2]


def align(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Rotate and reflect an embedding so that it lies like another one of the same points (Schönemann, 1966).

    Orthogonal Procrustes without scaling: which way up UMAP lays out its points means nothing, and hides what does.
    Distances are not changed.

    Parameters
    ----------
    points, onto : ndarray of float, shape (n, d)
        NaN for a point without a place; only points with a place in both count.

    Returns
    -------
    ndarray of float64, shape (n, d)
        Around the origin; as it was where no point has a place in both.
    """
    both = np.isfinite(points).all(axis=1) & np.isfinite(onto).all(axis=1)
    if not both.any():
        return points.astype(np.float64)
    here, there = (side.astype(np.float64) - side[both].mean(axis=0, dtype=np.float64) for side in (points, onto))
    # Summed by numpy alone: how BLAS sums depends on the number of threads.
    left, _, right = np.linalg.svd(np.einsum("ni,nj->ij", here[both], there[both]))
    return np.einsum("ni,ij->nj", here, left @ right)
