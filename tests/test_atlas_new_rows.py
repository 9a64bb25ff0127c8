"""The page of new rows over a cell: what is written into it, and the page itself in a real headless Chromium."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

# Fixtures of theirs are used by name.
from test_atlas import (  # noqa: F401
    ATTACKS,
    CELLS,
    COUNT,
    IDS,
    LABELS,
    OPTIONS,
    SHARED,
    SIDE,
    Atlas,
    Sweep,
    at_start,
    decoded,
    driver,
    keep,
    quiet_console,
)

from umap_sweep.atlas import new_rows
from umap_sweep.atlas import page as atlas
from umap_sweep.errors import InputError

# New rows: some with ids and labels that are markup, one with the id of a stored row, one without a label or a place.
NEW_IDS = [ATTACKS[1], IDS[9], "new 2", "new 3", "new 4", "new 5"]
NEW_LABELS = [LABELS[1], ATTACKS[0], LABELS[0], LABELS[1], None, LABELS[2]]
DISTANCE = [2.0, 30.0, 1.5, 12.0, np.inf, 1.0]
STRANGENESS = [1.25, 7.5, 0.75, np.inf, np.inf, 1.0]
P_VALUE = [0.5, 0.002, 0.8, 0.01, 0.001, 0.6]
STRANGE = {1, 3, 4}


class WithNewRows(Sweep):
    """A stored sweep, and six new rows on the first of its cells, in gaps of the lattice of stored points."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.placed = np.array(
            [[0.5, 0.5], [6.5, 0.5], [0.5, 6.5], [6.5, 6.5], [np.nan, np.nan], [3.5, 3.5]], np.float32
        )
        self.near = np.stack([(np.arange(5) * 3 + row) % COUNT for row in range(6)]).astype(np.int32)
        self.store_new(NEW_LABELS)

    def store_new(self, labels: Any, **annotations: Any) -> None:
        about = {"id": NEW_IDS, **({} if labels is None else {"label": labels})}
        keep(self.folder / "new_rows.parquet", pa.table(about | annotations))
        measured = {"distance": DISTANCE, "strangeness": STRANGENESS, "p_value": P_VALUE}
        axes = {"umap_1": self.placed[:, 0], "umap_2": self.placed[:, 1]}
        keep(self.folder / "placed.parquet", pa.table({**about, **axes, **measured}))
        keep(self.folder / "near.parquet", pa.table({f"index_{rank}": self.near[:, rank] for rank in range(5)}))

    def collect_new(self, **options: Any) -> tuple[dict[str, Any], atlas.Payload]:
        files = [self.folder / f"{name}.parquet" for name in ("rows", "knn", "placed", "near", "new_rows")]
        files.insert(2, self.layouts[0])
        header, payload = new_rows.collect(*files, CELLS[0], SHARED, OPTIONS | options)
        header |= {"dataset": "toy", "metric": "euclidean"}
        header["new"]["dataset"] = "toy_new"
        return header, payload

    def shown_of_all(self) -> np.ndarray:
        """Return where the page shows each stored row, and then each new one, 0 to 1."""
        return atlas.quantise(np.concatenate([self.cells[0], self.placed]).astype(float)) / (atlas.LARGEST + 1)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> WithNewRows:
    return WithNewRows(tmp_path_factory.mktemp("sweep"))


def opened(driver: Any, sweep: WithNewRows, folder: Path, **options: Any) -> Atlas:  # noqa: F811
    atlas.write(*sweep.collect_new(**options), folder / "transform.html")
    made = Atlas(driver, sweep, folder / "transform.html", folder / "downloads")
    made.downloads.mkdir()
    behaviour = {"behavior": "allow", "downloadPath": str(made.downloads)}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    return made


@pytest.fixture(scope="module")
def page(sweep: WithNewRows, driver: Any, tmp_path_factory: pytest.TempPathFactory) -> Atlas:  # noqa: F811
    return opened(driver, sweep, tmp_path_factory.mktemp("page"))


# ---- What is written into the page -----------------------------------------------------------------------------------


def test_stored_points_come_first_and_nearest_are_stored_rows(sweep: WithNewRows) -> None:
    header, payload = sweep.collect_new()
    rows = decoded(payload, header["row"])
    assert sorted(rows[:COUNT]) == list(range(COUNT))
    assert sorted(rows[COUNT:]) == list(range(COUNT, COUNT + 6))
    assert header["new"]["first"] == COUNT
    assert header["ids"] == [[*IDS, *NEW_IDS][row] for row in rows]
    places = decoded(payload, header["neighbors"]["places"]).reshape(-1, header["neighbors"]["count"])
    for point, row in enumerate(rows):
        expected = sweep.near[row - COUNT, :4] if row >= COUNT else sweep.indices[row, 1:5]
        assert rows[places[point]].tolist() == expected.tolist()


def test_labels_of_stored_rows_come_first_so_that_their_colours_stay(sweep: WithNewRows) -> None:
    header, payload = sweep.collect_new()
    names, codes = header["label"]["names"], decoded(payload, header["label"]["codes"])
    assert names == [*sorted(LABELS), ATTACKS[0]]
    known, rows = [*names, None], decoded(payload, header["row"])
    assert [known[code] for code in codes] == [[*sweep.labels, *NEW_LABELS][row] for row in rows]


def test_what_is_measured_of_new_rows_is_told_exactly(sweep: WithNewRows) -> None:
    header, payload = sweep.collect_new()
    rows = decoded(payload, header["row"])
    assert (header["new"]["rows"], header["new"]["strangers"], header["cells"][0]["missing"]) == (6, 3, 1)
    for entry, values in zip(header["new"]["measured"], (DISTANCE, STRANGENESS, P_VALUE), strict=True):
        found = decoded(payload, entry["values"])
        assert np.isnan(found[:COUNT]).all()
        np.testing.assert_array_equal(found[COUNT:], np.array(values)[rows[COUNT:] - COUNT])
        assert np.isfinite([entry["low"], entry["high"]]).all()


def test_a_sample_of_new_rows_has_strangers_among_them(sweep: WithNewRows) -> None:
    header, payload = sweep.collect_new(max_points=4)
    assert (header["new"]["first"], header["points"]) == (4, 8)
    rows = decoded(payload, header["row"])[4:] - COUNT
    assert len(STRANGE & set(rows.tolist())) == 2
    places = decoded(payload, header["neighbors"]["places"]).reshape(8, -1)
    shown = decoded(payload, header["row"])
    for point, row in enumerate(rows):
        expected = [other for other in sweep.near[row, :4] if other in shown[:4]]
        assert shown[places[4 + point][places[4 + point] < 8]].tolist() == expected
        assert set(places[4 + point].tolist()) <= {*range(4), 8}


def test_columns_of_other_types_are_one_field(tmp_path: Path) -> None:
    made = WithNewRows(tmp_path, {"batch": pa.array(np.arange(COUNT) % 3), "only here": pa.array([0.5] * COUNT)})
    made.store_new(None, batch=["0", "2", "7", "1", None, "0"], there=[True, False, None, True, True, False])
    header, payload = made.collect_new()
    found = {entry["name"]: entry for entry in header["annotations"]}
    assert list(found) == ["batch", "only here", "there"]
    assert found["batch"]["names"] == ["0", "1", "2", "7"]
    known = [*found["there"]["names"], None]
    said = [known[code] for code in decoded(payload, found["there"]["codes"])]
    rows = decoded(payload, header["row"])
    assert said[:COUNT] == [None] * COUNT
    assert said[COUNT:] == [["true", "false", None, "true", "true", "false"][row - COUNT] for row in rows[COUNT:]]
    assert not header["new"]["labelled"]


def test_tables_of_other_rows_are_refused(tmp_path: Path) -> None:
    made = WithNewRows(tmp_path)
    keep(tmp_path / "near.parquet", pa.table({f"index_{rank}": made.near[1:, rank] for rank in range(5)}))
    with pytest.raises(InputError, match="have different numbers of rows"):
        made.collect_new()


# ---- The page in a browser -------------------------------------------------------------------------------------------


def colours_at(page: Atlas, picture: np.ndarray) -> np.ndarray:
    """Return the colour at the place of each stored row and each new one that has a place."""
    places = ((page.sweep.shown_of_all() - 0.5) * 0.94 + 0.5) * [1, -1] + [0, 1]
    columns, rows = np.floor(places * len(picture)).clip(0, len(picture) - 1).astype(int).T
    return picture[rows, columns, :3]


def point_of(row: int) -> int:
    return COUNT + row


def test_new_points_are_coloured_over_grey_ones_and_strangers_ringed(page: Atlas) -> None:
    page.open()
    assert page.text("failure") == ""
    assert page.text("dataset") == "\u2068toy_new\u2069 on \u2068toy\u2069"
    assert page.text("new-note").startswith("3 of 6 new rows are strangers")
    spread = np.ptp(colours_at(page, page.canvas(page.find("#points"))), axis=1)
    assert (spread[:COUNT] < 10).all()
    assert (spread[[point_of(row) for row in (0, 1, 2, 3, 5)]] > 40).all()
    marks, shown = page.canvas(page.find("#marks")), page.sweep.shown_of_all()
    ringed = set()
    for row in (0, 1, 2, 3, 5):
        x, y = (((shown[point_of(row)] - 0.5) * 0.94 + 0.5) * [1, -1] + [0, 1]) * len(marks)
        box = marks[max(round(y) - 30, 0) : round(y) + 30, max(round(x) - 30, 0) : round(x) + 30, 3]
        ringed |= {row} if (box > 200).sum() > 50 else set()
    assert ringed == STRANGE - {4}
    page.click("#coloured")
    page.settle()
    assert (np.ptp(colours_at(page, page.canvas(page.find("#points"))), axis=1)[:COUNT] > 40).any()
    assert "stored=coloured" in page.hash()


def test_pointing_at_a_new_point_tells_how_strange_it_is(page: Atlas) -> None:
    page.open()
    page.point_at(page.sweep.shown_of_all()[point_of(1)], click=True)
    page.wait(lambda: page.text("card-id") == NEW_IDS[1])
    assert page.text("card-label") == ATTACKS[0]
    said = [one.text for one in page.all("#card-measured dd")]
    assert said == ["stranger", "30; usual there 4", "7.5 times the usual", "0.002"]
    assert [one.get_property("textContent") for one in page.all("#neighbors button")] == [
        IDS[row] for row in page.sweep.near[1, :4]
    ]
    assert page.text("card-note") == "4 nearest stored rows in the data"
    page.point_at(page.sweep.shown_of_all()[point_of(5)])
    page.wait(lambda: NEW_IDS[5] in page.text("tooltip"))
    assert "1 times the usual" in page.text("tooltip")
    assert "new row" in page.text("tooltip")


def test_the_strangest_stand_first_and_open(page: Atlas) -> None:
    page.open()
    names = [one.text for one in page.all("#strangest .name")]
    assert names == [NEW_IDS[row] for row in (4, 1, 3, 0, 5, 2)]
    assert len(page.all("#strangest .group")) == len(STRANGE)
    first = page.find("#strangest button")
    assert "without a place" in first.text
    page.all("#strangest button")[2].click()
    assert page.text("card-id") == NEW_IDS[3]
    assert page.all("#strangest button")[2].get_attribute("aria-pressed") == "true"
    # Where stored rows are all the same, nothing can be divided by what is usual.
    assert "beyond the usual, which is 0" in page.text("card-measured")


def test_strangers_are_selected_filtered_and_saved(page: Atlas) -> None:
    page.open()
    page.click("#select-strangers")
    page.settle()
    assert page.text("status").startswith("3 of 70 points selected")
    rows = page.saved_ids()
    assert rows[0] == ["id", "label", "kind of row", "distance to neighbours", "strangeness", "p-value"]
    assert [row[0] for row in rows[1:]] == [NEW_IDS[1], NEW_IDS[3], NEW_IDS[4]]
    assert rows[1][2:] == ["stranger", "30", "7.5", "0.002"]
    assert "select=n:strange" in page.hash()
    page.choose("colour", "new:kind")
    assert [one.text for one in page.all("#legend .entry")] == [
        "new row\n3 + 0",
        "stranger\n3 + 0",
        "stored row\n0 + 64",
    ]
    page.all("#legend .only")[1].click()
    page.settle()
    assert page.text("status") == "3 of 3 visible points selected, in every cell"
    page.open(page.hash())
    assert page.text("status") == "3 of 3 visible points selected, in every cell"


def test_a_new_row_with_the_id_of_a_stored_one_is_found_and_kept_in_the_address(page: Atlas) -> None:
    page.open()
    page.run("document.getElementById('id').value = arguments[0]", IDS[9])
    page.click("#search button")
    assert "stranger" in page.text("card-measured")
    address = page.hash()
    assert "id=+row%209" in address
    page.open(address)
    assert "stranger" in page.text("card-measured")
    page.open(address.replace("id=+", "id="))
    assert page.text("card-id") == IDS[9]
    assert page.text("card-measured") == "kindstored row"


def test_a_graphics_card_draws_the_same_picture(page: Atlas, at_start: Any) -> None:  # noqa: F811
    page.open("#select=n:strange")
    by_processor = page.large()
    at_start("WebGL2RenderingContext.prototype.getParameter = () => 'a graphics card'")
    page.open("#select=n:strange")
    assert page.run("return document.getElementById('points').getContext('webgl2') !== null")
    assert np.abs(page.large() - by_processor).mean() < 1
    page.open()
    spread = np.ptp(colours_at(page, page.large()), axis=1)
    assert (spread[:COUNT] < 10).all()
    assert spread[point_of(0)] > 40


@pytest.mark.parametrize(("width", "theme"), list(itertools.product([390, 1280], ["light", "dark"])))
def test_it_fits_into_the_window_and_text_stays_text(page: Atlas, width: int, theme: str) -> None:
    page.open(f"#theme={theme}", width=width)
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert (page.canvas(page.find("#points"))[0, 0, :3].mean() < 60) == (theme == "dark")
    assert page.run("return document.title") == "\u2068toy_new\u2069 on \u2068toy\u2069: UMAP atlas"
    assert page.run("return document.querySelectorAll('img, b, script:not([type]):not(:last-of-type)').length") == 0
    assert not page.find("#grid-head").is_displayed()
    assert not page.find("#save-grid").is_displayed()


def test_the_picture_is_saved_with_its_rings(page: Atlas) -> None:
    from PIL import Image

    page.open("#theme=light")
    page.click("#save-cell")
    path = page.saved(".png")
    assert path.name.startswith("toy-toy_new-n_neighbors=5")
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    ring = (np.abs(picture - [0xC4, 0x00, 0x6A]).max(axis=2) < 12).sum()
    assert ring > 100
    path.unlink()


def test_new_rows_without_labels_are_coloured_by_their_kind(driver: Any, tmp_path: Path) -> None:  # noqa: F811
    made = WithNewRows(tmp_path)
    made.store_new(None)
    bare = opened(driver, made, tmp_path).open()
    assert bare.run("return document.getElementById('colour').value") == "new:kind"
    assert "colour=" not in bare.hash()
    assert re.fullmatch(r"\d+ points, none selected", bare.text("status"))
    assert int(bare.text("status").split()[0]) == SIDE**2 + 6
