"""The curve that turns distances in an embedding into closeness, fitted to a spread and a min_dist."""

import math
import warnings

import numpy as np

from umap_sweep import environment
from umap_sweep.errors import InputError

# Of a curve that fits, the largest distance from what it is fitted to stays below this; of one that fails it is near 1.
LARGEST_MISFIT = 0.5


def parameters(spread: float, min_dist: float, portable: bool | None = None) -> tuple[float, float]:
    """Return a and b of the curve 1 / (1 + a x^(2b)) that fits a spread and a min_dist.

    Least squares on 300 points of [0, 3 spread], as `umap.umap_.find_ab_params` of umap-learn 0.5.12 does it.

    Parameters
    ----------
    spread : float
    min_dist : float
        Distance up to which points count as close; at most `spread`.
    portable : bool, optional
        Whether to fit in arithmetic that no CPU changes, with other last bits than SciPy's; by default where this
        process is held to `portable`.

    Returns
    -------
    a, b : float
        Both positive.

    Raises
    ------
    InputError
        Where umap-learn's fit finds no such curve, and its layout would mean nothing.
    """
    if environment.is_portable() if portable is None else portable:
        from umap_sweep import arithmetic  # its kernels take seconds to compile

        a, b, misfit = arithmetic.fitted_curve(float(spread), float(min_dist))
        return _checked(a, b, misfit, spread, min_dist)
    from scipy.optimize import curve_fit

    def curve(x: np.ndarray, a: float, b: float) -> np.ndarray:
        return 1.0 / (1.0 + a * x ** (2 * b))

    distance = np.linspace(0, spread * 3, 300)
    closeness = np.where(distance < min_dist, 1.0, np.exp(-(distance - min_dist) / spread))
    # On its way the fit tries a negative b at distance 0, and where it fails, much else.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            (a, b), _ = curve_fit(curve, distance, closeness)
            misfit = np.abs(curve(distance, a, b) - closeness).max()
        except RuntimeError:  # it does not converge
            a = b = misfit = math.nan
    return _checked(a, b, misfit, spread, min_dist)


def _checked(a: float, b: float, misfit: float, spread: float, min_dist: float) -> tuple[float, float]:
    if not (a > 0 and b > 0 and misfit < LARGEST_MISFIT):
        raise InputError(
            f"umap-learn finds no curve for umap.spread {spread} and min_dist {min_dist}, and a layout would mean "
            f"nothing. With umap.spread from 0.3 to 7 there is one for every min_dist."
        )
    return float(a), float(b)
