"""How all figures look, and how they are written: the same input gives the same bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from umap_sweep import store

TEXT_COLOUR, SIDE_TEXT_COLOUR, ABSENT_COLOUR, FRAME_COLOUR = "#000000", "#555555", "#999999", "#c0c0c0"

STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "text.parse_math": False,  # Names come from the data: a `$` in one is a dollar.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "umap-sweep",
}

# Without a date, so that a file's bytes follow from its content.
METADATA: dict[str, dict[str, None]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def save(figure: Figure, paths: Sequence[str | Path], dpi: int) -> None:
    """Write a figure in the format that each path's ending names. The same figure gives the same bytes."""
    for path in paths:
        kind = Path(path).suffix[1:]
        with store.appearing(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=dpi, metadata=METADATA[kind])
