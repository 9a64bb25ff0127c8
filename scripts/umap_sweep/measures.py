"""Measures of an embedding: against the data it was made from, and against another embedding.

All take plain arrays and leave aside what files and cells are. Neighbours never include the point itself, and a row
number of -1 stands for a neighbour that is not there. Where a method has a name, its source stands with it; the tests
hold every one against scikit-learn or SciPy, value by value.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree, procrustes
from scipy.spatial.distance import cdist

# Points for which counts are made at one time, so that memory does not grow with the number of rows.
BLOCK_ROWS = 65536


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
    itself = neighbors == rows[:, None]
    # Moves nothing but the point itself, to the end.
    order = np.argsort(itself, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(neighbors, order, axis=1).astype(np.int32)


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
    return others(tree.query(points, k + 1)[1].reshape(len(points), k + 1), rows, k)


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
    share = np.empty(len(left), dtype=np.float64)
    for start in range(0, len(left), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        there = left[block] >= 0
        found = sum(
            (right[block] == left[block, rank, None]).any(axis=1) & there[:, rank] for rank in range(left.shape[1])
        )
        with np.errstate(invalid="ignore"):
            share[block] = found / there.sum(axis=1)
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
        a random sample of the points an estimate without bias.
    """
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
        Row numbers; -1 counts as no neighbour.

    Returns
    -------
    float
        NaN where no point with neighbours has a label.
    """
    right = judged = 0
    for start in range(0, len(codes), BLOCK_ROWS):
        own, near = codes[start : start + BLOCK_ROWS], neighbors[start : start + BLOCK_ROWS]
        labels = np.sort(np.where(near >= 0, codes[near], -1), axis=1)
        votes = (labels[:, :, None] == labels[:, None, :]).sum(axis=2) * (labels >= 0)
        winner = np.take_along_axis(labels, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
        counted = (own >= 0) & (near >= 0).any(axis=1)
        right += int((winner == own)[counted].sum())
        judged += int(counted.sum())
    return right / judged if judged else float("nan")


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
    both = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
    left, right = left[both].astype(np.float64), right[both].astype(np.float64)
    if len(left) < 2 or not (np.ptp(left, axis=0).any() and np.ptp(right, axis=0).any()):
        return float("nan")
    return float(procrustes(left, right)[2])
