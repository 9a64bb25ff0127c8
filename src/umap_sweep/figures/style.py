"""How all figures look, and how they are written: the same input gives the same bytes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure

from umap_sweep import store
from umap_sweep.job import say

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
METADATA: dict[str, dict[str, str | None]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}

# By format: under which name a file says what it shows.
ABOUT = {"png": "Description", "pdf": "Subject", "svg": "Description"}


@contextmanager
def drawing(style: Mapping[RcKeyType, Any]) -> Iterator[None]:
    """Set matplotlib to its defaults and `style` while the block runs, whatever the user's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(style)
        yield


def use_fonts_with_all_characters(figure: Figure) -> None:
    """Let each text of a figure take installed fonts for characters that DejaVu Sans, matplotlib's own, does not have.

    Where no font has one, a box stands for it, and the log and the terminal say for which texts.
    """
    from matplotlib import font_manager
    from matplotlib.text import Text

    def characters(path: str) -> set[int]:
        try:
            return set(font_manager.get_font(path).get_charmap())
        except (OSError, RuntimeError):  # such as fonts of pictures
            return set()

    known = characters(font_manager.findfont("DejaVu Sans"))
    texts = {text: {ord(one) for one in text.get_text() if not one.isspace()} - known for text in figure.findobj(Text)}
    lacking = set().union(*texts.values()) if texts else set()
    fonts = []
    # The name decides, so that the same installed fonts give the same figure.
    installed = [entry for entry in font_manager.fontManager.ttflist if not entry.name.startswith("Last Resort")]
    for entry in sorted(installed, key=lambda entry: ("Noto" not in entry.name, entry.name)):
        if not lacking:
            break
        if entry.style == "normal" and (found := characters(entry.fname) & lacking):
            fonts.append(entry.name)
            lacking -= found
    for text, absent in texts.items():
        if absent:
            text.set_fontfamily(["DejaVu Sans", *fonts])
    boxes = sorted({text.get_text() for text, absent in texts.items() if absent & lacking})
    if boxes:
        listed = ", ".join(map(repr, boxes[:5]))
        say(
            f"No installed font has all characters of {listed}: boxes stand for them in the figure. "
            f"Install one, such as a Noto font."
        )


# What it does to each table of a font is no message to anybody.
logging.getLogger("fontTools").setLevel(logging.WARNING)


def ticks(values: Sequence[float | str]) -> tuple[list[int], list[str]]:
    """Return places from 0 and their names along an axis of the grid, for twenty values at most, evenly spaced."""
    step = -(-len(values) // 20)
    return list(range(0, len(values), step)), [
        value if isinstance(value, str) else f"{value:g}" for value in values[::step]
    ]


def save(figure: Figure, paths: Sequence[str | Path], dpi: int, about: str | None = None) -> None:
    """Write a figure to each path, in the format that the path's ending names, with what it shows in its metadata."""
    use_fonts_with_all_characters(figure)
    for path in paths:
        kind = Path(path).suffix[1:]
        said = METADATA[kind] if about is None else METADATA[kind] | {ABOUT[kind]: about}
        with store.appearing(path) as temporary, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # it is said above, with the text
            figure.savefig(temporary, format=kind, dpi=dpi, metadata=said)
