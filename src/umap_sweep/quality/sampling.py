"""The error that a metric has because it looks at a sample: of rows, of pairs of rows, or of triplets.

A metric that is a mean is stored with what each sampled row or triplet contributes to it. All cells are measured on the
same ones, so that these numbers give the error of the difference of two cells too, which is less than that of either.
"""

import numpy as np

# The random pairs are cut into so many batches: a rank correlation is no mean over pairs, but nearly one over batches.
PAIR_BATCHES = 50

# Metrics whose sampled unit is a row of the data, which is drawn without replacement.
OF_ROWS = ("recall_15", "recall_50", "recall_150", "trustworthiness", "continuity", "silhouette")
# Those whose unit is a triplet or a batch of pairs, which are drawn with replacement from very many.
OF_DRAWS = ("triplet_accuracy", "distance_correlation")
SAMPLED = (*OF_ROWS, *OF_DRAWS)


def error(values: np.ndarray, share: float) -> float:
    """Return the standard error of the mean of a random sample (Cochran, 1977: Sampling Techniques, chapter 2).

    Parameters
    ----------
    values : ndarray of float, shape (m,)
        NaN where a unit does not count.
    share : float
        Which share of all units is in the sample: what all of them would say is known better the more of them are
        looked at, and exactly where it is 1. 0 for units that are drawn with replacement.

    Returns
    -------
    float
        NaN where fewer than two units count.
    """
    counted = values[np.isfinite(values)]
    if share >= 1:
        return 0.0
    if len(counted) < 2:
        return float("nan")
    return float(np.sqrt(counted.var(ddof=1) / len(counted) * (1 - share)))


def share_of(metric: str, share_of_rows: float) -> float:
    """Return which share of its units a metric looks at, as `error` takes it, from that of the rows."""
    return share_of_rows if metric in OF_ROWS else 0.0
