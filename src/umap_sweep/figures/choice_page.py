"""Write the page that one can put before a reviewer: what `choose` left, on which numbers, and what was tried."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd
import yaml

from umap_sweep import store
from umap_sweep.cells import lines
from umap_sweep.cells.keys import optional_axes
from umap_sweep.quality.choice import BEATEN, CONTENDER
from umap_sweep.quality.comparisons import CONFIDENCE, CRITERIA
from umap_sweep.quality.seeds import half_width

PAGE = Path(__file__).with_name("choice.html")

# Of the drawing of each criterion, in units of which a letter is about seven wide.
WIDTH, LINE, LEFT, RIGHT = 640, 17, 150, 20


def name_of(cell: Mapping[Any, Any], before: str = "") -> str:
    """Return what a setting is called, from a row of a table whose columns have some text before their names."""
    setting = {name.removeprefix(before): value for name, value in cell.items() if name.startswith(before)}
    return f"{lines.name_of(lines.line_of(setting))}, min_dist {setting['min_dist']:g}"


def number(cell: Mapping[Any, Any], criterion: str) -> str:
    """Return one criterion of one setting as text, with its 95 % interval by itself."""
    half = float(half_width(cell[f"{criterion}_error"], cell["seeds"]))
    return f"{cell[criterion]:.1%}" + (f" ± {half:.1%}" if np.isfinite(half) else "")


def table_of(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return an HTML table; all text is escaped."""
    lines = ["<div class='scroll'><table><thead><tr>"]
    lines += [f"<th>{escape(text)}</th>" for text in head]
    lines.append("</tr></thead><tbody>")
    for row in rows:
        lines.append("<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row) + "</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])


def whiskers(table: pd.DataFrame, criterion: str) -> str:
    """Return a drawing of one criterion of all settings, the best at the top, as inline SVG.

    Parameters
    ----------
    table : pandas.DataFrame
        From `umap_sweep.quality.choice.conclude`.
    criterion : str
    """
    cells = table.sort_values(criterion, ascending=False).to_dict("records")
    values, errors, seeds = (
        np.array([cell[name] for cell in cells]) for name in (criterion, f"{criterion}_error", "seeds")
    )
    reach = np.nan_to_num(half_width(errors, seeds), nan=0.0)
    low, high = float((values - reach).min()), float((values + reach).max())
    scale = (WIDTH - LEFT - RIGHT) / ((high - low) or 1)
    parts = []
    for place, (cell, half) in enumerate(zip(cells, reach, strict=True)):
        y = LINE * (place + 0.7)
        x, arm = LEFT + (cell[criterion] - low) * scale, half * scale
        kind = "listed" if cell["status"] == CONTENDER else "beaten"
        group = f" · {cell['group']}" if kind == "listed" else ""
        label = f"{lines.short_name(lines.line_of(cell))}, {cell['min_dist']:g}{group}"
        parts.append(
            f"<g class='{kind}'><title>{escape(name_of(cell))}: "
            f"{escape(number(cell, criterion))}</title>"
            f"<text x='{LEFT - 12}' y='{y + 4:.1f}' text-anchor='end'>{escape(label)}</text>"
            f"<line x1='{x - arm:.1f}' x2='{x + arm:.1f}' y1='{y:.1f}' y2='{y:.1f}'/>"
            f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.5'/></g>"
        )
    bottom = LINE * (len(cells) + 0.5)
    for value, anchor in ((low, "start"), (high, "end")):
        x = LEFT + (value - low) * scale
        parts.append(f"<text class='axis' x='{x:.1f}' y='{bottom + 10:.1f}' text-anchor='{anchor}'>{value:.1%}</text>")
    height = bottom + 16
    return (
        f"<figure><figcaption>{escape(CRITERIA[criterion][0].upper() + CRITERIA[criterion][1:])}</figcaption>"
        f"<div class='scroll'><svg viewBox='0 0 {WIDTH} {height:.0f}' role='img' "
        f"aria-label='{escape(CRITERIA[criterion])}'>{''.join(parts)}</svg></div></figure>"
    )


def verdict(listed: pd.DataFrame, settings: int, record: Mapping[str, Any]) -> list[str]:
    """Return what was found, in sentences."""
    count = len(listed)
    names = [name_of(cell) for cell in listed.to_dict("records")]
    said = [f"Of {settings} settings, {count} {'is' if count == 1 else 'are'} beaten by no other: {'; '.join(names)}."]
    letters = sorted({letter for group in listed["group"] for letter in group}) if count > 1 else []
    for letter in letters:
        members = [name for name, group in zip(names, listed["group"], strict=True) if letter in group]
        if len(members) > 1:
            said.append(
                f"Group {letter}: {'; '.join(members)}. These {len(members)} cannot be told apart by this data; take "
                f"the one whose picture you like."
            )
    worth = f"{record['key']['worth']:.1%}"
    if record["stands"]:
        said.append(
            f"The list stands: by each criterion, every two settings on it are told apart, or are known to differ by "
            f"less than {worth}."
            if count > 1
            else "The list stands."
        )
    else:
        said.append(
            f"All {record['seeds'][-1]} seeds are spent, and for some of these it is still open whether they differ by "
            f"{worth} or more; choose.seeds allows more."
        )
    return said


def later(seeds: Sequence[int]) -> str:
    """Return what a larger budget means for the level, where that is not counted: it repeats a look under more seeds.

    Parameters
    ----------
    seeds : sequence of int
        How many each look had.
    """
    if len(seeds) < 2 or seeds[-1] >= 2 * seeds[-2]:
        return ""
    return (
        f" A larger choose.seeds makes look {len(seeds)} once more, under more than {seeds[-1]} seeds; that its part "
        f"of the level is spent twice then is not counted."
    )


def compute(
    choice: str | Path,
    png: str | Path,
    out: str | Path,
    configuration: Mapping[str, Any],
    grid: Mapping[str, Any],
) -> None:
    """Write the page.

    Parameters
    ----------
    choice : path
        From `umap_sweep.quality.choice.conclude`.
    png : path
        From `umap_sweep.figures.choice`.
    out : path
        Receives the page, one HTML file that asks for no other.
    configuration : mapping
        From `umap_sweep.settings.configuration.copied`.
    grid : mapping
        The configuration's sections `grid`, `metrics` and `choose`.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    table, record = store.read(choice).to_pandas(), store.read_record(choice)
    listed, beaten = table[table["status"] == CONTENDER], table[table["status"] == BEATEN]
    judged = [name for name in CRITERIA if name in table]
    dataset = configuration["dataset"]
    titles = [CRITERIA[name] for name in judged]
    of_listed = [
        [name_of(cell), cell["group"] if len(listed) > 1 else "", cell["seeds"]]
        + [number(cell, name) for name in judged]
        + [f"{cell['beats']:.0f}"]
        for cell in listed.to_dict("records")
    ]
    of_beaten = [
        [name_of(cell), cell["seeds"]]
        + [number(cell, name) for name in judged]
        + [name_of(cell, "beaten_by_"), cell["look"]]
        for cell in beaten.to_dict("records")
    ]
    compared = [len(table), *record["contenders"][:-1]]
    looks = zip(record["seeds"], compared, record["contenders"], strict=True)
    data = {place: value for place, value in record["inputs"].items() if place.endswith("/data.parquet")}
    versions = record["environment"]
    values = {
        "dataset": escape(dataset),
        "axes": ", ".join([*optional_axes(table), "n_neighbors"]) + " and min_dist",
        "verdict": "".join(f"<p>{escape(sentence)}</p>" for sentence in verdict(listed, len(table), record)),
        "picture": base64.b64encode(Path(png).read_bytes()).decode(),
        "listed": table_of(["setting", "group", "seeds", *titles, "beats"], of_listed),
        "beaten": table_of(["setting", "seeds", *titles, "beaten by", "at look"], of_beaten)
        if of_beaten
        else "<p>None.</p>",
        "whiskers": "\n".join(whiskers(table, name) for name in judged),
        "looks": table_of(
            ["look", "seeds", "settings compared", "left"], [[place, *one] for place, one in enumerate(looks, 1)]
        ),
        "confidence": f"{CONFIDENCE:.0%}",
        "later": escape(later(record["seeds"])),
        "criteria": escape(", ".join(titles)),
        "worth": f"{record['key']['worth']:.1%}",
        "configuration": escape(yaml.safe_dump({**configuration, **grid}, sort_keys=False)),
        "fingerprint": escape("; ".join(f"{place} {value}" for place, value in data.items())),
        "versions": escape(yaml.safe_dump(versions, sort_keys=True)),
    }
    text = Template(PAGE.read_text(encoding="utf-8")).substitute(values)
    with store.appearing(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
