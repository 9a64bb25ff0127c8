"""Draw which settings can be told apart: for each criterion all settings by their value, with intervals and ties.

What is drawn beside the points are the bars of a critical-difference diagram (Demšar, 2006, Journal of Machine Learning
Research 7): each joins settings in a row of which no two are told apart.
"""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from umap_sweep import store
from umap_sweep.cells.keys import optional_axes
from umap_sweep.cells.lines import line_of, short_name
from umap_sweep.figures.style import SIDE_TEXT_COLOUR, STYLE, TEXT_COLOUR, drawing, save
from umap_sweep.quality.comparisons import CRITERIA, UNKNOWN
from umap_sweep.quality.seeds import half_width, means, setting_of
from umap_sweep.quality.shortlist import criteria, verdicts

ACCENT, PLAIN, RULE = "#d55e00", "#333333", "#e6e6e6"
MOST_NAMED = 40  # settings; of more, names would be too small or the figure too tall
ONE_SEED = (
    "One seed: what another seed changes is unknown, so that nothing can be told apart. "
    "snakemake choose adds seeds where they decide."
)
TOO_FEW = "The data has too few rows for any criterion."
NEEDS = {"neighbor_overlap": "two seeds: one pair, whose error is unknown"}
# Lengths in inches.
LINE = 0.2  # from one setting to the next, where there is room
TALLEST = 8  # of a panel at most
WIDE = 2.1  # of a panel
NAMES = 0.75  # beside a panel, for names
USUAL_NAME = 11  # letters of a name, for which there is that room
LETTER = 0.075  # beside a name, of a group
BARS = 0.55  # beside a panel, for the bars
BAR = 0.07  # from one bar to the next, where there is room


def ties(alike: np.ndarray) -> list[tuple[int, int]]:
    """Return the longest rows of settings of which no two are told apart.

    Parameters
    ----------
    alike : ndarray of bool, shape (settings, settings)
        Symmetric, in the order in which the settings stand: whether two are not told apart.

    Returns
    -------
    list of (int, int)
        The first and the last setting of each row of two or more; none lies within another.
    """
    found: list[tuple[int, int]] = []
    last = 0
    for first in range(len(alike)):
        last = max(last, first)
        while last + 1 < len(alike) and alike[first : last + 1, last + 1].all():
            last += 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def lanes(bars: list[tuple[int, int]]) -> list[int]:
    """Return a lane for each bar, so that bars of one lane do not touch; `bars` are in the order of their first end."""
    ends: list[int] = []
    found = []
    for first, last in bars:
        lane = next((lane for lane, end in enumerate(ends) if end < first), len(ends))
        ends[lane : lane + 1] = [last]
        found.append(lane)
    return found


def draw_criterion(axes: Axes, values: pd.DataFrame, told: np.ndarray, line: float, known: bool) -> None:
    """Draw all settings by one criterion, the largest value on top.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    values : pandas.DataFrame
        Of each setting `name`, `value`, `half_width` (NaN where it is unknown) and `group`, the letters of the list,
        which are missing where the setting is not on it.
    told : ndarray of int, shape (settings, settings)
        From `umap_sweep.quality.shortlist.verdicts`.
    line : float
        Inches from one setting to the next.
    known : bool
        Whether it is known what can be told apart; no bars are drawn where it is not.
    """
    order = np.argsort(-values["value"].to_numpy(), kind="stable")
    values, told = values.iloc[order], told[np.ix_(order, order)]
    listed = values["group"].notna().to_numpy()
    places = np.arange(len(values))
    size = max(min(line / LINE, 1), 0.3)
    for chosen, colour, layer in ((~listed, PLAIN, 2), (listed, ACCENT, 3)):
        if not chosen.any():
            continue
        of_these = values[chosen]
        axes.errorbar(
            of_these["value"],
            places[chosen],
            xerr=np.nan_to_num(of_these["half_width"].to_numpy(float)),
            fmt="o",
            color=colour,
            markersize=4.5 * size,
            elinewidth=1.1 * size,
            capsize=0,
            zorder=layer,
        )
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_yticks(
        places if len(values) <= MOST_NAMED else [], labels=[""] * (len(values) <= MOST_NAMED) * len(places)
    )
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    if len(values) <= MOST_NAMED:
        left = -0.08 - LETTER * max((len(group) for group in values["group"].dropna()), default=0) / WIDE
        for place, (name, group) in enumerate(zip(values["name"], values["group"], strict=True)):
            style: dict[str, Any] = {"transform": beside, "va": "center", "size": 7}
            on_list = isinstance(group, str)
            axes.text(left - 0.03, place, name, ha="right", color=ACCENT if on_list else TEXT_COLOUR, **style)
            if on_list:
                axes.text(left, place, group, ha="left", color=ACCENT, weight="bold", **style)
    bars = ties(told == 0) if known else []
    if len(values) > MOST_NAMED:  # bars would run into each other
        bars = [bar for bar in bars if bar[0] == 0]
    step = min(BAR, BARS / max(max(lanes(bars), default=0) + 1, 1)) / WIDE
    for (first, last), lane in zip(bars, lanes(bars), strict=True):
        x = 1.04 + lane * step
        axes.plot(
            [x, x],
            [first - 0.25, last + 0.25],
            color=ACCENT if first == 0 else SIDE_TEXT_COLOUR,
            linewidth=2 if first == 0 else 1.4,
            solid_capstyle="butt",
            transform=beside,
            clip_on=False,
        )
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7, length=2)
    axes.locator_params(axis="x", nbins=4)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    if len(values) <= MOST_NAMED:
        axes.grid(axis="y", color=RULE, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def settings(metrics: pd.DataFrame, stability: pd.DataFrame | None, listed: pd.DataFrame) -> pd.DataFrame:
    """Return what the figure shows of each setting.

    Parameters
    ----------
    metrics, stability
        As for `umap_sweep.quality.shortlist.criteria`.
    listed : pandas.DataFrame
        From `umap_sweep.quality.shortlist`.

    Returns
    -------
    pandas.DataFrame
        The columns of `criteria`, half of the 95 % interval of each criterion, such as `recall_15_half`, from seeds and
        sample or, where there is one seed, from the sample alone; `name`; `group`, missing where the setting is not
        listed or nothing can be told apart.
    """
    table = criteria(metrics, stability)
    for name in [name for name in CRITERIA if name in table]:
        if name == "neighbor_overlap":
            half = half_width(table[f"{name}_error"].to_numpy(), table["seeds"].to_numpy())
        else:
            half = means(metrics, name)["half_width"].to_numpy()
        table[f"{name}_half"] = half
    table["name"] = [f"{short_name(line_of(row))} · {row['min_dist']:g}" for row in table.to_dict("records")]
    setting = setting_of(table)
    letters = listed.loc[listed["group"] != "", [*setting, "group"]]
    return table.merge(letters, "left", setting)


def draw(table: pd.DataFrame, comparisons: pd.DataFrame, title: str) -> Figure:
    """Draw a panel for each criterion.

    Parameters
    ----------
    table : pandas.DataFrame
        From `settings`.
    comparisons : pandas.DataFrame
        From `umap_sweep.quality.comparisons`.
    title : str
    """
    shown = [name for name in CRITERIA if name in table]
    of_shown = comparisons[comparisons["metric"].isin(shown)]
    untold = len(table) > 1 and bool((of_shown["verdict"] == UNKNOWN).all())
    line = min(LINE, TALLEST / max(len(table), 1))
    letters = LETTER * max((len(group) for group in table["group"].dropna()), default=0)
    names = NAMES + LETTER * max(max(map(len, table["name"]), default=0) - USUAL_NAME, 0)
    beside = names + letters if len(table) <= MOST_NAMED else 0.25
    high, column = max(line * len(table), 0.5), beside + WIDE + BARS + 0.1
    width = 0.15 + column * max(len(shown), 2)
    of_what = "from sample and seeds" if (table["seeds"] > 1).any() else "from the sample alone"
    parts = " · ".join([*optional_axes(table), "n_neighbors", "min_dist"])
    facts = [
        f"{len(table):,} settings, as {parts}, the largest value on top",
        f"whiskers: 95 % of each value by itself, {of_what}",
    ]
    if not untold:
        bars = "a bar joins" if len(table) <= MOST_NAMED else "the bar joins the best and other"
        facts.append(f"{bars} settings of which no two are told apart; orange where the best is one of them")
        facts.append("orange settings: no other beats them; a letter in common: not told apart by any criterion")
    written = textwrap.wrap(" · ".join(fact.replace(" ", "\u00a0") for fact in facts), int(17 * (width - 0.4)))
    warning = textwrap.wrap(ONE_SEED if untold else "" if shown else TOO_FEW, int(14 * (width - 0.4)))
    head = 0.95 + 0.14 * len(written) + 0.16 * len(warning)
    height = head + high + 0.4
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(0.2 / width, 1 - 0.18 / height, title, size=12, va="top")
    text = "\n".join(one.strip(" ·") for one in written)
    figure.text(0.2 / width, 1 - 0.45 / height, text, size=7, va="top", color=SIDE_TEXT_COLOUR, linespacing=1.4)
    top = 0.5 + 0.14 * len(written)
    figure.text(0.2 / width, 1 - top / height, "\n".join(warning), size=8, va="top", color=ACCENT, linespacing=1.3)
    told, _ = verdicts(table, comparisons)
    for place, name in enumerate(shown):
        x = 0.15 + place * column + beside
        axes = figure.add_axes((x / width, 0.4 / height, WIDE / width, high / height), label=name)
        known = not (of_shown.loc[of_shown["metric"] == name, "verdict"] == UNKNOWN).all()
        title_of = CRITERIA[name][0].upper() + CRITERIA[name][1:]
        figure.text(x / width, 1 - (head - 0.12) / height, title_of, size=9, va="bottom")
        if not known and not untold and name in NEEDS:
            figure.text(x / width, 1 - (head - 0.1) / height, NEEDS[name], size=6.5, va="top", color=SIDE_TEXT_COLOUR)
        values = table.rename(columns={name: "value", f"{name}_half": "half_width"})
        draw_criterion(axes, values[["name", "value", "half_width", "group"]], told[name], line, known)
    return figure


def plot_comparisons(
    metrics: str | Path,
    stability: str | Path | None,
    comparisons: str | Path,
    shortlist: str | Path,
    png: str | Path,
    vector: str | Path,
    plot: Mapping[str, Any],
    dataset: str,
) -> None:
    """Draw which settings of a sweep can be told apart.

    Parameters
    ----------
    metrics, comparisons, shortlist : path
        From the modules of these names in `umap_sweep.quality`.
    stability : path or None
        From `umap_sweep.quality.stability`, where there are several seeds.
    png, vector : path
        Receive the figure; the ending of `vector` is its format, `pdf` or `svg`.
    plot : mapping
        The configuration's section `plot`: dpi.
    dataset : str
        Named in the title.
    """
    pairs = None if stability is None else store.read(stability).to_pandas()
    table = settings(store.read(metrics).to_pandas(), pairs, store.read(shortlist).to_pandas())
    with drawing(STYLE):
        figure = draw(table, store.read(comparisons).to_pandas(), f"Which settings of {dataset} can be told apart")
        save(figure, (png, vector), plot["dpi"])
