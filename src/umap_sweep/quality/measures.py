"""Measures of an embedding: against the data it was made from, and against another embedding.

All functions take plain arrays and know nothing of files and cells. Neighbours never include the point itself, and a
row number of -1 stands for a neighbour that is missing. Methods that have a name are given with their source; the tests
compare each with scikit-learn or SciPy, value by value.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from umap_sweep.cells.lines import Line, in_order

if TYPE_CHECKING:  # not at run time, so that figures, which need no SciPy, do not wait for its import
    from scipy.spatial import cKDTree

# Rows whose neighbours are compared at one time, so that they stay in the processor's cache.
BLOCK_ROWS = 4096

# Columns of the table of metrics: the title in figures and atlas, and what the metric is about.
TITLES = {
    "recall_15": ("Recall at 15", "nearest neighbours kept"),
    "recall_50": ("Recall at 50", "nearest neighbours kept"),
    "recall_150": ("Recall at 150", "nearest neighbours kept"),
    "trustworthiness": ("Trustworthiness", "no false neighbours, 15"),
    "continuity": ("Continuity", "no neighbours torn apart, 15"),
    "label_accuracy": ("Label accuracy", "of the 15 nearest points' majority"),
    "label_accuracy_unseen": ("Label accuracy, unseen", "of the nearest row that was told"),
    "triplet_accuracy": ("Triplet accuracy", "order of distances, 0.5 is chance"),
    "distance_correlation": ("Distance correlation", "Spearman's, all distances"),
    "density_correlation": ("Density correlation", "Pearson's, log local radii"),
    "cross_entropy": ("Cross-entropy", "UMAP's loss; not across n_neighbors"),
    "silhouette": ("Silhouette of labels", "rewards a small min_dist"),
    "disconnected": ("Disconnected", "share of rows without a place"),
    "layout_seconds": ("Seconds", "of the layout's job, its part of those measured"),
    "layout_memory_mb": ("Memory, MiB", "of the layout's job, as measured"),
}

# What a layout job measures of itself. These are the only columns that another run does not repeat.
MEASURED = ("layout_seconds", "layout_memory_mb")


def compared_rows(n_rows: int, full_up_to: int, sample: int) -> int:
    """Return how many of `n_rows` rows are compared with all others, by two keys of the configuration's `metrics`."""
    return n_rows if n_rows <= full_up_to else min(n_rows, sample)


def others(neighbors: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Take each point itself out of its list of neighbours, and keep the first `k` that are left.

    Parameters
    ----------
    neighbors : ndarray of int, shape (m, at least k + 1)
        Row numbers, nearest first. The point itself need not be the first where other points are equal to it, and may
        be missing where there are many.
    rows : ndarray of int, shape (m,)
        The points' own row numbers.
    k : int

    Returns
    -------
    ndarray of int32, shape (m, k)
    """
    kept = neighbors != rows[:, None]
    kept[kept.all(axis=1), -1] = False  # where the point itself is missing, the farthest is left out in its place
    result: np.ndarray = neighbors[kept].reshape(len(neighbors), -1)[:, :k].astype(np.int32)
    return result


def nearest(tree: cKDTree, points: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Return the `k` points of a tree that are nearest to each of some of its points, the point itself left out.

    Parameters
    ----------
    tree : scipy.spatial.cKDTree
    points : ndarray of float, shape (m, d)
        Some of the tree's points.
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
    # In the order in which they lie in the tree, so that what a query reads is still in the processor's cache.
    wanted = np.full(tree.n, -1)
    wanted[rows] = np.arange(len(rows))
    order = wanted[tree.indices]
    order = order[order >= 0]
    found[order] = tree.query(points[order], k + 1)[1].reshape(len(points), k + 1)
    return others(found, rows, k)


def overlap(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return for each point which share of its neighbours in `left` is among its neighbours in `right`.

    Where both have the same number of neighbours, the mean over all points is the recall of neighbours, Q_NX of Lee and
    Verleysen (2009), Neurocomputing 72.

    Parameters
    ----------
    left : ndarray of int, shape (m, k)
        Row numbers; -1 counts as no neighbour.
    right : ndarray of int, shape (m, l)
        Row numbers; -1 counts as no neighbour.

    Returns
    -------
    ndarray of float64, shape (m,)
        NaN where a point has no neighbour in one of the two.
    """
    share = np.empty(len(left))
    for start in range(0, len(left), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        # Column by column, because a processor compares two long columns faster than many short rows.
        columns, others = np.ascontiguousarray(left[block].T), np.ascontiguousarray(right[block].T)
        there = columns >= 0
        found = np.zeros(columns.shape[1], dtype=np.int32)
        for one, counted in zip(columns, there, strict=True):
            among = np.zeros(len(one), dtype=bool)
            for other in others:
                among |= other == one
            found += among & counted
        with np.errstate(invalid="ignore"):
            share[block] = found / there.sum(axis=0)
        share[block][(others < 0).all(axis=0)] = np.nan
    return share


def trustworthiness(ranks: np.ndarray, k: int, points: int) -> float:
    """Return the trustworthiness or the continuity of Venna and Kaski (2001), from ranks.

    Trustworthiness takes the `k` neighbours of a point in the embedding and their ranks in the data: it falls with
    points that the embedding wrongly puts together. Continuity takes the `k` neighbours of a point in the data and
    their ranks in the embedding: it falls with neighbours that the embedding tears apart.
    `sklearn.manifold.trustworthiness` computes the first, and the second where data and embedding are exchanged.

    Parameters
    ----------
    ranks : ndarray of float, shape (m, k)
        For m of the points, the ranks of their neighbours; the nearest other point has rank 1.
    k : int
        Less than half of `points`.
    points : int
        The number n of points that are ranked.

    Returns
    -------
    float
        1 - 2 / (m k (2n - 3k - 1)) Σ max(rank - k, 0): 1 where no neighbour is lost. Exact with m = n, an unbiased
        estimate with a random sample of m points. NaN where m is 0.
    """
    if not len(ranks):
        return float("nan")
    penalty = np.maximum(ranks - k, 0).sum()
    return float(1 - 2 / (len(ranks) * k * (2 * points - 3 * k - 1)) * penalty)


def trustworthiness_of_points(ranks: np.ndarray, k: int, points: int) -> np.ndarray:
    """Return what each point contributes to the trustworthiness or the continuity, which is the mean of these.

    Parameters
    ----------
    ranks, k, points
        As for `trustworthiness`.

    Returns
    -------
    ndarray of float64, shape (m,)
    """
    penalty = np.maximum(ranks - k, 0).sum(axis=1)
    shares: np.ndarray = 1 - 2 / (k * (2 * points - 3 * k - 1)) * penalty
    return shares


def ranks_within(tree: cKDTree, points: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Return the ranks that given neighbours of some points of a tree have among all its points.

    Parameters
    ----------
    tree : scipy.spatial.cKDTree
    points : ndarray of float, shape (m, d)
        Some of the tree's points.
    neighbors : ndarray of int, shape (m, k)
        The places of their neighbours in the tree.

    Returns
    -------
    ndarray of int64, shape (m, k)
        How many other points are as near as the neighbour or nearer, itself included.
    """
    distances = np.linalg.norm(tree.data[neighbors] - points[:, None].astype(np.float64), axis=2)
    # Within a slightly greater distance, so that rounding does not leave the neighbour itself out.
    within = tree.query_ball_point(
        np.repeat(points, neighbors.shape[1], axis=0), distances.ravel() * (1 + 1e-12), return_length=True
    )
    ranks: np.ndarray = within.reshape(neighbors.shape) - 1  # the point itself is found too
    return ranks


def placed(points: np.ndarray) -> np.ndarray:
    """Return which points have coordinates: bool, shape (n,), from points of shape (n, d), NaN where they have none."""
    # Axis by axis, which takes a tenth of the time of `all` over rows as short as these.
    there = np.ones(len(points), dtype=bool)
    for axis in points.T:
        there &= np.isfinite(axis)
    return there


def corners(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest coordinate on each axis, shape (d,), of at least one point."""
    # Axis by axis, as in `placed`.
    low, high = (np.array([side(axis) for axis in points.T]) for side in (np.min, np.max))
    return low, high


def distances(points: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances of pairs of points, float64, shape (pairs,)."""
    squares = np.zeros(len(first))
    for axis in points.T.astype(np.float64):
        squares += (axis[first] - axis[second]) ** 2
    return np.sqrt(squares)


def triplets_kept(points: np.ndarray, row: np.ndarray, near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Return of which triplets the embedding keeps the order of distances (Wang and others, 2021).

    Wang, Huang, Rudin and Shaposhnik: Understanding How Dimension Reduction Tools Work, JMLR 22. A share of 0.5 is
    chance, and 1 is every order kept. The points of most triplets lie far apart, so that this is a measure of global
    structure.

    Parameters
    ----------
    points : ndarray of float, shape (n, d)
    row, near, far : ndarray of int, shape (triplets,)
        A point of each triplet, and of the two others the one that is nearer to it in the data and the farther one.

    Returns
    -------
    ndarray of bool, shape (triplets,)
        Their mean is the triplet accuracy.
    """
    kept: np.ndarray = distances(points, row, near) < distances(points, row, far)
    return kept


# As `umap.parametric_umap` has it: no point is taken to be nearer than what gives this.
LEAST_PROBABILITY = 1e-4


def cross_entropy(
    edges: np.ndarray, weights: np.ndarray, pairs: np.ndarray, points: int, a: float, b: float
) -> tuple[float, float]:
    """Return the fuzzy cross-entropy of an embedding and its graph, UMAP's own loss, for each point.

    C = Σ w ln(w / q) + (1 - w) ln((1 - w) / (1 - q)) over all pairs of points, with the weight w of the pair's edge, 0
    where there is none, and q = 1 / (1 + a d^(2b)) of their distance d in the embedding (McInnes, Healy and Melville,
    2018, equation 1). All edges count; of the term that all pairs have, ln(1 / (1 - q)), random pairs give the mean
    where not all are there. What UMAP minimises by negative samples is not quite this (Damrich and Hamprecht, 2021).

    Parameters
    ----------
    edges, weights : ndarray of float, shape (edges,)
        Of each edge, counted once: the distance of its ends in the embedding, and its weight, above 0 and at most 1.
    pairs : ndarray of float, shape (pairs,)
        Distances in the embedding of all pairs of points, or of random ones.
    points : int
    a, b : float
        From `umap_sweep.cells.curve.parameters`.

    Returns
    -------
    number : float
        In nats, divided by the number of points. Less is better, among embeddings of one graph and one curve.
    error : float
        Its standard error through the pairs, as if they were random.
    """

    def closeness(distances: np.ndarray) -> np.ndarray:
        powers = np.power(distances, 2 * b)
        return np.asarray(np.clip(1 / (1 + a * powers), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))

    q, w = closeness(edges), weights.astype(np.float64)
    rest = np.where(w < 1, (1 - w) * np.log(np.where(w < 1, 1 - w, 1)), 0)
    attraction = (w * np.log(w / q) + rest + w * np.log1p(-q)).sum()
    apart = -np.log1p(-closeness(pairs))
    all_pairs = points * (points - 1) / 2
    error = all_pairs * float(apart.std(ddof=1)) / len(apart) ** 0.5 if len(apart) > 1 else float("nan")
    return float(attraction + all_pairs * apart.mean()) / points, error / points


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks of values, from 1; equal values share the mean of their ranks.

    The same as `scipy.stats.rankdata`, whose import takes longer than the sorting.

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

    The correlation of pairwise distances in the data with those in the embedding is a measure of global structure: the
    CPD of Kobak and Berens (2019), Nature Communications 10.

    Parameters
    ----------
    left_ranks, right_ranks : ndarray of float64, shape (n,)
        From `average_ranks`.
    """
    left, right = left_ranks - left_ranks.mean(), right_ranks - right_ranks.mean()
    scale = np.sqrt((left @ left) * (right @ right))
    return float(left @ right / scale) if scale else float("nan")


def label_accuracy(codes: np.ndarray, neighbors: np.ndarray) -> float:
    """Return the share of points whose label is the most frequent one among their neighbours.

    This is the accuracy of `sklearn.neighbors.KNeighborsClassifier` where no point is its own neighbour
    (leave-one-out); of equally frequent labels the first one wins.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        The category of each point's label. Points with -1 have no label: they do not vote, and are not counted.
    neighbors : ndarray of int, shape (n, k)
        Row numbers, k at most 255; -1 counts as no neighbour.

    Returns
    -------
    float
        NaN where no point with neighbours has a label.
    """
    right, counted = (np.zeros(len(codes), dtype=bool) for _ in range(2))
    for start in range(0, len(codes), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        near = np.ascontiguousarray(neighbors[block].T)
        labels = np.where(near >= 0, codes[near], -1)
        votes = np.ones(labels.shape, dtype=np.uint8)
        for one, other in itertools.combinations(range(len(labels)), 2):
            alike = labels[one] == labels[other]
            votes[one] += alike
            votes[other] += alike
        votes[labels < 0] = 0
        leading = (votes == votes.max(axis=0)) & (labels >= 0)
        winner = np.where(leading, labels, np.iinfo(labels.dtype).max).min(axis=0)
        right[block] = winner == codes[block]
        counted[block] = (codes[block] >= 0) & (near >= 0).any(axis=0)
    return float(right[counted].mean()) if counted.any() else float("nan")


def silhouettes(points: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the silhouette of each point (Rousseeuw, 1987), as `sklearn.metrics.silhouette_samples` defines it.

    Their mean tells, from -1 to 1, how much nearer points are to the points of their own label than to those of the
    nearest other label. It rewards tight clumps with empty space between them, and so a small min_dist, whatever the
    data.

    Parameters
    ----------
    points : ndarray of float, shape (m, d)
    codes : ndarray of int, shape (m,)
        The category of each point's label; -1 where it has none.

    Returns
    -------
    ndarray of float64, shape (m,)
        NaN for a point without a label; 0 for one that is alone with its label. NaN for all where there are fewer than
        two labels, or no two points share one.
    """
    from scipy.spatial.distance import cdist

    labelled = np.flatnonzero(codes >= 0)
    order = labelled[np.argsort(codes[labelled], kind="stable")]
    present, starts, sizes = np.unique(codes[order], return_index=True, return_counts=True)
    scores = np.full(len(codes), np.nan)
    if not 2 <= len(present) < len(order):
        return scores
    place = np.repeat(np.arange(len(present)), sizes)
    rows = np.arange(len(order))
    mean = np.add.reduceat(cdist(points[order], points[order]), starts, axis=1)
    own_size = sizes[place]
    inside = mean[rows, place] / np.maximum(own_size - 1, 1)
    mean /= sizes
    mean[rows, place] = np.inf
    outside = mean.min(axis=1)
    greater = np.maximum(inside, outside)
    scores[order] = np.divide(outside - inside, greater, out=np.zeros(len(order)), where=(greater > 0) & (own_size > 1))
    return scores


def disparity(left: np.ndarray, right: np.ndarray) -> float:
    """Return the Procrustes disparity of two embeddings of the same points (Gower, 1975; `scipy.spatial.procrustes`).

    Parameters
    ----------
    left, right : ndarray of float, shape (n, d)
        NaN for a point without coordinates; only points that have them in both count.

    Returns
    -------
    float
        The sum of squared differences that the best shift, rotation, reflection and scaling leave, from 0 for the same
        picture to 1 for unrelated ones. It is about the arrangement as a whole. NaN where one of the two has fewer than
        two distinct points.
    """
    from scipy.spatial import procrustes

    both = placed(left) & placed(right)
    if not both.all():
        left, right = left[both], right[both]
    if len(left) < 2 or not ((left != left[0]).any() and (right != right[0]).any()):
        return float("nan")
    return float(procrustes(left, right)[2])


def middle_cell(keys: Iterable[tuple[Line, float]]) -> tuple[Line, float]:
    """Return the line (`umap_sweep.cells.lines`) and min_dist in the middle of a grid.

    Parameters
    ----------
    keys : iterable of (Line, float)
        Of each cell.

    Returns
    -------
    (Line, float)
        The middle of the two axes, the lower one of two; where the grid has no such cell, the middle one of `keys`.
    """
    given = list(keys)
    rows, columns = in_order(line for line, _ in given), sorted({min_dist for _, min_dist in given})
    keys = sorted(given, key=lambda key: (rows.index(key[0]), key[1]))
    middle = rows[(len(rows) - 1) // 2], columns[(len(columns) - 1) // 2]
    return middle if middle in keys else keys[(len(keys) - 1) // 2]


def align(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Rotate and reflect an embedding so that it lies as much as possible like another one of the same points.

    This is the orthogonal Procrustes problem of Schönemann (1966), without scaling: distances do not change. The
    orientation of a UMAP embedding is arbitrary, and differences of orientation would hide those that matter.

    Parameters
    ----------
    points, onto : ndarray of float, shape (n, d)
        NaN for a point without coordinates; only points that have them in both count.

    Returns
    -------
    ndarray of float64, shape (n, d)
        With the mean of the points that count at the origin; unchanged where no point counts.
    """
    both = placed(points) & placed(onto)
    if not both.any():
        return points.astype(np.float64)
    count: np.ndarray | slice = slice(None) if both.all() else both
    here, there = (side.astype(np.float64) - side[count].mean(axis=0, dtype=np.float64) for side in (points, onto))
    # By einsum, because the order in which BLAS sums depends on the number of threads.
    left, _, right = np.linalg.svd(np.einsum("ni,nj->ij", here[count], there[count]))
    turned: np.ndarray = np.einsum("ni,ij->nj", here, left @ right)
    return turned
