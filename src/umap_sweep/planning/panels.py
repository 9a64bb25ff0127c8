"""How large the panels of a figure of the grid are, and whether there are too many of them for one figure.

Known before anything runs, and without matplotlib, so that a run is not planned for a figure that cannot be drawn.
"""

from __future__ import annotations

import math
from collections.abc import Collection

# What matplotlib draws in 1.5 GB of memory, and what programs open that show pictures.
MOST_PIXELS = 100_000_000
MOST_ALONG = 32_000

# Below this, what is written above a panel cannot be read.
LEAST_SIDE = 160


def panel_side(cells: Collection[tuple[object, float]], side: int) -> int | None:
    """Return the width and height of a figure's panels, in pixels; None where they are too many for one figure.

    Parameters
    ----------
    cells : collection of (Line, float)
        Line (`umap_sweep.cells.lines`) and min_dist of each cell. Each of either has a line of panels.
    side : int
        What is asked for. Panels are smaller where the figure would have too many pixels.
    """
    rows, columns = (len({cell[axis] for cell in cells}) for axis in (0, 1))
    fits = min(math.isqrt(MOST_PIXELS // (rows * columns)), MOST_ALONG // max(rows, columns))
    return None if fits < min(side, LEAST_SIDE) else min(side, fits)
