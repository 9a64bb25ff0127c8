"""How all figures look, and how they are written: the same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure

from umap_sweep import store

if TYPE_CHECKING:  # not at run time, because older versions of matplotlib do not have this name
    from matplotlib.typing import RcKeyType

TEXT_COLOUR, SIDE_TEXT_COLOUR, ABSENT_COLOUR, FRAME_COLOUR = "#000000", "#555555", "#999999", "#c0c0c0"

STYLE: dict[RcKeyType, Any] = {
    "font.family": ["DejaVu Sans"],
    "text.parse_math": False,  # names come from the data, and a `$` in one of them begins no formula
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "umap-sweep",
}

# By format: without a date, so that a file's bytes follow from its content.
METADATA: dict[str, dict[str, None]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


@contextmanager
def drawing(style: Mapping[RcKeyType, Any]) -> Iterator[None]:
    """Set matplotlib to its defaults and `style` while the block runs, whatever the user's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(style)
        yield


def save(figure: Figure, paths: Sequence[str | Path], dpi: int) -> None:
    """Write a figure to each path, in the format that the path's ending names."""
    for path in paths:
        kind = Path(path).suffix[1:]
        with store.appearing(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=dpi, metadata=METADATA[kind])
