"""The atlas: what is written into the page, and the page itself in a real headless Chromium."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import itertools
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.stats
import yaml
from conftest import ROOT
from PIL import Image

from umap_sweep import store
from umap_sweep.atlas import page as atlas
from umap_sweep.cells import grid
from umap_sweep.cells.keys import column_of
from umap_sweep.errors import InputError
from umap_sweep.figures import pictures
from umap_sweep.quality import measures
from umap_sweep.settings import configuration

OPTIONS = {"max_points": 100_000, "features": 2, "neighbors": 5}
SIDE = 8  # Points lie on a lattice of 8 × 8, in another order in each cell, so that panels show them well apart.
COUNT = SIDE**2
ATTACKS = [
    "<img src=x onerror=\"document.title='owned'\">",
    "</script><script>document.title='owned'</script>",
    '"quoted", with a comma',
    "\u202etxt.exe\u202c",
    "{{data}}&amp;\u2028<!--",
    "=1+1",
]
IDS = ATTACKS + [f"row {number}" for number in range(len(ATTACKS), COUNT)]
LABELS = ["</style><b onclick=x>bold", "plain", "'\u202e\"&lt;"]
BATCH = "=batch, \u202e<b>of</b>"
BATCHES = ["</option><b onclick=x>1", 'two, "2"', "&lt;3"]
FEATURES = ["<i>weight</i>", "</option>size", "constant"]
CELLS = [
    {"metric": "euclidean", "knn_k": 7, "knn_seed": 10, "knn_jobs": 1, "n_neighbors": k, "min_dist": m, "seed": s}
    for k, m, s in [(5, 0.1, 1), (5, 0.5, 1), (7, 0.1, 1), (5, 0.1, 2)]
]
# The short list: n_neighbors, min_dist, group and reason.
LISTED = [(5, 0.5, "a", f"with the best in {ATTACKS[0]}"), (7, 0.1, "ab", ATTACKS[1]), (5, 0.1, "b", ATTACKS[4])]
SHARED = {
    "dataset": "toy",
    "datasets": {"toy": {"source": "file", "path": "data/“toy”: #1.csv"}},
    "knn": {"metric": "euclidean", "method": "auto", "n_neighbors": 7, "seed": [10, 11], "n_jobs": 1},
    "umap": {"spread": 1.5},
    "cpu": "x86-64-v3",
    "blas_threads": 1,
}


def annotations() -> dict[str, pa.Array]:
    """Return columns of all kinds, most of them with missing values in every seventh row."""
    place = np.arange(COUNT)
    missing = place % 7 == 3
    return {
        BATCH: pa.array([BATCHES[one // 5 % 3] for one in place], mask=missing),
        "passed": pa.array(place % 2 == 0, mask=missing),
        "depth": pa.array(np.linspace(-1, 1, COUNT), mask=missing),
        "reads": pa.array(2**60 + 1001 * place, mask=missing),
        "clone": pa.array([f"clone {one % 60}" for one in place]),
        "empty": pa.array([None] * COUNT, pa.float64()),
        "equal": pa.array(np.full(COUNT, 0.5)),
        "</dt><i>text</i>": pa.array([f"{'long ' * 400}{one}" for one in place]),
    }


def keep(path: Path, table: pa.Table) -> None:
    """Store a table as the stages do, with a record."""
    store.write(path, table, store.make_record("test", {}, store.fingerprint(table)))


@dataclass
class Sweep:
    """A stored sweep of 64 points, and what is known about it."""

    folder: Path
    annotations: dict[str, pa.Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Store data, k-NN and cells."""
        generator = np.random.default_rng(5)
        self.features = np.column_stack([generator.normal(size=(COUNT, 2)) * [3, 1], np.ones(COUNT)]).astype(np.float32)
        self.labels = [LABELS[place % 3] for place in range(COUNT)]
        distances = np.linalg.norm(self.features[:, None] - self.features[None], axis=-1)
        self.indices = np.argsort(distances, axis=1, kind="stable")[:, :7].astype(np.int32)
        lattice = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).reshape(-1, 2).astype(np.float32)
        self.cells = [lattice[generator.permutation(COUNT)] for _ in CELLS]
        self.store_data(self.labels)
        columns = {f"index_{rank}": self.indices[:, rank] for rank in range(7)}
        keep(self.folder / "knn.parquet", pa.table(columns))
        for path, points in zip(self.layouts, self.cells, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            axes = {"umap_1": points[:, 0], "umap_2": points[:, 1]}
            keep(path, pa.table(axes))

    def store_data(self, labels: Any) -> None:
        values = pa.FixedSizeListArray.from_arrays(pa.array(self.features.ravel()), 3)
        table = pa.table({"features": values})
        record = store.make_record("data", {}, store.fingerprint(table), feature_names=FEATURES)
        store.write(self.folder / "data.parquet", table, record)
        rows = pa.table({"id": IDS, **({} if labels is None else {"label": labels}), **self.annotations})
        store.write(self.folder / "rows.parquet", rows, store.make_record("rows", {}, store.fingerprint(rows)))

    @staticmethod
    def part(cell: dict[str, Any]) -> str:
        return "/".join(f"{name}={value}" for name, value in cell.items())

    @property
    def layouts(self) -> list[Path]:
        return [self.folder / "layouts" / self.part(cell) / "layout.parquet" for cell in CELLS]

    def comparisons(self) -> dict[str, Any]:
        """Store metrics, local recall and seed instability, as their rules do, and return where they are."""
        generator = np.random.default_rng(6)
        rows = [
            {name: cell[name] for name in atlas.KEY_COLUMNS if name in cell}
            | {"recall_5": 0.25 * place, "seconds": None, "rows": COUNT}
            for place, cell in enumerate(CELLS)
        ]
        metrics = self.folder / "metrics.parquet"
        schema = pa.schema([*((name, pa.float64()) for name in ("recall_5", "seconds"))])
        table = pa.Table.from_pylist(rows)
        table = table.set_column(
            table.column_names.index("seconds"),
            schema.field("seconds"),
            pa.array([None, None, 3.5, None], pa.float64()),
        )
        keep(metrics, table)
        recall, instability = [self.recall(cell) for cell in CELLS], [self.instability()]
        columns = {path: [] for path in recall}
        for path, cell in zip(recall, CELLS, strict=True):
            columns[path].append(f"min_dist={cell['min_dist']}")
        for path, names in (columns | {instability[0]: ["instability"]}).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            values = {name: generator.random(COUNT).astype(np.float32) for name in names}
            keep(path, pa.table(values))
        return {"metrics": metrics, "recall": recall, "instability": instability}

    def choice(self, listed: list[tuple] | None = None) -> dict[str, Any]:
        """Store what one chooses by as well: the short list, and whether neighbourhoods are to be trusted."""
        names = ("n_neighbors", "min_dist", "group", "reason")
        rows = LISTED if listed is None else listed
        shortlist = self.folder / "shortlist.parquet"
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        keep(shortlist, pa.table(columns | {"beats": [0] * len(rows)}))
        generator = np.random.default_rng(7)
        trust = [self.of_row("trust", cell) for cell in CELLS]
        for path in dict.fromkeys(trust):
            path.parent.mkdir(parents=True, exist_ok=True)
            columns = {column_of(cell): pa.array([]) for cell, one in zip(CELLS, trust, strict=True) if one == path}
            for name in columns:
                columns[name] = np.float32(generator.random(COUNT) * 0.1)
                columns[name][:2] = [0.05, np.nextafter(np.float32(0.05), np.float32(1))]
            columns[column_of(CELLS[0])][2] = np.nan
            keep(path, pa.table(columns))
        return self.comparisons() | {"shortlist": shortlist, "trust": trust}

    def recall(self, cell: dict[str, Any]) -> Path:
        """Return the file of what cells that differ in min_dist alone keep of each point's neighbours."""
        return self.of_row("points", cell)

    def of_row(self, name: str, cell: dict[str, Any]) -> Path:
        row = {name: value for name, value in cell.items() if name != "min_dist"}
        return self.folder / name / self.part(row) / f"{name}.parquet"

    def instability(self) -> Path:
        """Return the file of how much the seeds of the first cell's n_neighbors and min_dist move each point."""
        shared = {name: value for name, value in CELLS[0].items() if name not in ("knn_seed", "seed")}
        return self.folder / "stability" / self.part(shared) / "points.parquet"

    def collect(self, options: dict[str, Any] | None = None, **also: Any) -> tuple[dict[str, Any], atlas.Payload]:
        files = (self.folder / f"{name}.parquet" for name in ("data", "rows", "knn"))
        paths = (*files, self.layouts)
        header, payload = atlas.collect(*paths, CELLS, SHARED, OPTIONS | (options or {}), **also)
        return header | {"dataset": "toy", "metric": "euclidean"}, payload

    def write(self, out: Path, options: dict[str, Any] | None = None, **also: Any) -> Path:
        atlas.write(*self.collect(options, **also), out)
        return out

    def shown(self, cell: int) -> np.ndarray:
        """Return where the page shows each row: x to the right and y upwards, 0 to 1."""
        aligned = measures.align(self.cells[cell].astype(float), self.reference())
        return atlas.quantise(aligned) / (atlas.LARGEST + 1)

    def reference(self) -> np.ndarray:
        return self.cells[0].astype(float)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return Sweep(tmp_path_factory.mktemp("sweep"))


# ---- What is written into the page -----------------------------------------------------------------------------------


def test_same_input_gives_same_bytes(sweep: Sweep, tmp_path: Path) -> None:
    comparisons = sweep.comparisons()
    first = sweep.write(tmp_path / "a.html", **comparisons).read_bytes()
    assert sweep.write(tmp_path / "b.html", **comparisons).read_bytes() == first


def test_a_sample_keeps_each_labels_share_and_no_label_is_lost() -> None:
    strata = np.repeat([0, 1, 2], [9000, 997, 3])
    rows = atlas.choose_rows(strata, 1000)
    assert len(set(rows.tolist())) == 1000
    np.testing.assert_array_equal(np.bincount(strata[rows]), [900, 99, 1])
    np.testing.assert_array_equal(rows, atlas.choose_rows(strata, 1000))


@pytest.mark.parametrize("most", [1, 7, 60, 999])
def test_a_sample_has_the_size_asked_for(most: int) -> None:
    strata = np.append(np.arange(50), np.full(950, 50))
    rows = atlas.choose_rows(strata, most)
    assert len(set(rows.tolist())) == len(rows) == most
    assert most < 51 or len(np.unique(strata[rows])) == 51


def test_all_rows_are_drawn_in_an_order_that_no_class_leads() -> None:
    rows = atlas.choose_rows(np.repeat([0, 1], 500), 1000)
    assert sorted(rows.tolist()) == list(range(1000))
    assert 400 < (rows[:500] < 500).sum() * 2 < 600


def test_coordinates_keep_their_proportions_to_a_60000th() -> None:
    points = np.random.default_rng(0).normal(size=(500, 2)) * [10, 1] + [1e3, -1e3]
    points[7] = np.nan
    quantised = atlas.quantise(points)
    assert quantised[7].tolist() == [atlas.LARGEST + 1] * 2
    kept = np.delete(np.arange(500), 7)
    width = np.ptp(points[kept, 0])
    back = quantised[kept] / atlas.LARGEST * width
    difference = points[kept] - back
    np.testing.assert_allclose(difference, np.broadcast_to(difference.mean(axis=0), difference.shape), atol=width / 6e4)


def test_alignment_undoes_rotation_and_mirroring_and_changes_no_distance() -> None:
    points = np.random.default_rng(0).normal(size=(100, 2)) * [3, 1]
    turned = points @ np.array([[np.cos(2), np.sin(2)], [np.sin(2), -np.cos(2)]]) + 5
    turned[3] = np.nan
    aligned = np.delete(measures.align(turned, points), 3, axis=0)
    expected = np.delete(points, 3, axis=0)
    np.testing.assert_allclose(aligned - aligned.mean(axis=0), expected - expected.mean(axis=0), atol=1e-9)


def test_neighbors_leave_out_the_point_itself_and_those_not_shown() -> None:
    indices = np.array([[0, 1, 2, 3], [2, 1, 0, 3], [3, 0, 1, -1], [1, 0, 2, 3]])
    rows = np.array([3, 1, 2])
    found = atlas.nearest(indices[rows], rows, 3, len(indices))
    np.testing.assert_array_equal(found, [[1, 3, 2], [2, 3, 0], [0, 3, 1]])


def test_features_are_those_named_or_those_that_vary_most(sweep: Sweep) -> None:
    path, rows = sweep.folder / "data.parquet", np.array([5, 3])
    found = atlas.read_features(path, rows, 2)
    assert [name for name, _ in found] == [FEATURES[0], FEATURES[1]]
    np.testing.assert_array_equal(found[1][1], sweep.features[[5, 3], 1])
    assert [name for name, _ in atlas.read_features(path, rows, ["constant"])] == ["constant"]
    with pytest.raises(InputError, match=r"atlas.features has 'size', which is no feature"):
        atlas.read_features(path, rows, ["size"])


def test_a_table_of_other_rows_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    short = tmp_path / "points.parquet"
    names = {f"min_dist={cell['min_dist']}" for cell in CELLS}
    keep(short, pa.table(dict.fromkeys(names, np.zeros(3, np.float32))))
    with pytest.raises(InputError, match="has 3 rows, and the data 64"):
        sweep.collect(recall=[short] * len(CELLS))


def test_cells_too_many_for_a_page_show_fewer_points(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas, "MOST_BYTES", 1500)
    header, payload = sweep.collect(**sweep.comparisons())
    assert 10 < header["points"] < COUNT and header["full"]
    assert 1200 < len(gzip.decompress(base64.b64decode(payload.encode()))) < 1600
    monkeypatch.undo()
    assert not sweep.collect({"max_points": 10})[0]["full"]


def text_of(value: Any) -> str:
    """Return what the page says for a value."""
    return "no value" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def decoded(payload: atlas.Payload, place: list[Any]) -> np.ndarray:
    kind, first, size = place
    return np.frombuffer(gzip.decompress(base64.b64decode(payload.encode())), kind, size, first)


def test_annotations_are_written_once_and_exactly(tmp_path: Path) -> None:
    annotated = annotations()
    header, payload = Sweep(tmp_path, annotated).collect()
    found = {entry["name"]: entry for entry in header["annotations"]}
    assert list(found) == list(annotated)
    rows = decoded(payload, header["row"])
    for name, column in annotated.items():
        expected = [column[row].as_py() for row in rows.tolist()]
        if "names" in found[name]:
            known = [*found[name]["names"], "no value"]
            assert len(set(known)) == len(known)
            assert [known[code] for code in decoded(payload, found[name]["codes"])] == [*map(text_of, expected)]
        else:
            missing = decoded(payload, found[name]["levels"]) == atlas.LARGEST_LEVEL + 1
            values = decoded(payload, found[name]["values"]).tolist()
            assert [None if gone else one for gone, one in zip(missing, values, strict=True)] == expected
    assert {name for name, entry in found.items() if "low" in entry} == {"depth", "reads", "equal"}
    assert found["passed"]["names"] == ["false", "true"]
    assert found["empty"]["names"] == []


def test_an_outlier_does_not_spoil_the_scale_of_an_annotation() -> None:
    values = np.append(np.linspace(-1, 1, 200), 1e9)
    entry = atlas.described_by(pa.array(values), "auto", np.array([200, 0, 100]), payload := atlas.Payload())
    assert entry["low"] == -1 and 0.9 < entry["high"] <= 1
    highest, lowest, middle = decoded(payload, entry["levels"]).tolist()
    assert (highest, lowest) == (atlas.LARGEST_LEVEL, 0) and 120 < middle < 140
    assert decoded(payload, entry["values"]).tolist() == [1e9, -1, values[100]]


def test_names_of_categories_are_those_of_the_points_shown() -> None:
    values = pa.array([f"value {place % 10_000}" for place in range(20_000)])
    rows = np.array([15_000, 3, 5_000, 10_003])
    payload = atlas.Payload()
    entry = atlas.described_by(values, "auto", rows, payload)
    assert entry["names"] == ["value 3", "value 5000"]
    assert decoded(payload, entry["codes"]).tolist() == [1, 0, 1, 0]
    whole = atlas.described_by(values, "auto", np.arange(20_000), atlas.Payload())
    assert whole["names"] == [f"value {place}" for place in range(10_000)]


def test_annotations_count_in_the_size_of_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = annotations()
    texts = columns.pop("</dt><i>text</i>")
    monkeypatch.setattr(atlas, "MOST_BYTES", 3000)
    numbers = {name: columns[name] for name in ("depth", "reads", "equal")} | {"passed": columns["passed"]}
    header, payload = Sweep(tmp_path / "numbers", numbers).collect()
    assert 10 < header["points"] < COUNT and header["full"]
    assert 2700 < len(gzip.decompress(base64.b64decode(payload.encode()))) < 3200
    monkeypatch.setattr(atlas, "MOST_BYTES", 50_000)
    header, _ = Sweep(tmp_path / "texts", {"text": texts}).collect()
    # A text of 2,000 bytes in every row, so no more than 25 rows.
    assert 20 < header["points"] < 26
    assert 40_000 < len(json.dumps(header["annotations"])) < 52_000


def test_categories_are_in_natural_order_and_no_label_comes_last() -> None:
    names, codes = atlas.categories(pa.array(["b", None, "a10", "a2", "b"]))
    assert (names, codes.tolist()) == (["a2", "a10", "b"], [2, 3, 1, 0, 2])
    names, codes = atlas.categories(pa.array([10.0, np.nan, 2.0, None]))
    assert (names, codes.tolist()) == (["2", "10"], [1, 2, 0, 2])


@pytest.mark.parametrize(
    ("labels", "kind", "scale"),
    [
        (["1", "2"], "auto", False),
        (list(range(30)), "auto", False),
        (list(range(31)), "auto", True),
        ([0.5, 1.0], "auto", True),
        ([0.5, 1.0], "categorical", False),
        ([1, 2], "numeric", True),
        ([np.nan, np.inf], "auto", False),
    ],
)
def test_labels_are_a_scale_where_the_figures_take_them_for_one(
    tmp_path: Path, labels: list, kind: str, scale: bool
) -> None:
    toy = Sweep(tmp_path)
    toy.store_data(list(itertools.islice(itertools.cycle(labels), COUNT)))
    shown = toy.collect(label_kind=kind)[0]["label"]
    assert ("low" in shown, "names" in shown) == (scale, not scale)
    assert bool(pictures.colour_points(pa.array(labels), kind, len(labels)).limits) == scale


def test_colours_of_labels_are_those_of_the_figures() -> None:
    source = (atlas.PAGE[0].parent / "drawing.js").read_text(encoding="utf-8")
    light = re.search(r"light: \[(.*?)\]", source, re.DOTALL)[1]
    assert re.findall(r"#\w{6}", light) == pictures.CATEGORY_COLOURS


def test_a_copied_configuration_is_the_cell() -> None:
    defaults = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for cell in CELLS:
        copied = yaml.safe_load(atlas.configuration_of(cell, SHARED))
        merged = {**defaults, **copied, "datasets": {**defaults["datasets"], **copied["datasets"]}}
        settings = configuration.complete(merged, copied)
        assert grid.cells(settings).to_dict("records") == [cell]
        assert settings["datasets"]["toy"] == SHARED["datasets"]["toy"] | {"missing": "refuse"}
        assert settings["umap"]["spread"] == 1.5


def test_data_in_the_page_holds_no_character_of_markup() -> None:
    text = atlas.json_for_html(ATTACKS)
    assert text.isascii() and not set("<>&") & set(text)
    assert json.loads(text) == ATTACKS


def test_the_policy_allows_the_pages_own_script_and_style_alone(sweep: Sweep, tmp_path: Path) -> None:
    html = sweep.write(tmp_path / "atlas.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert "unsafe" not in policy and "default-src 'none'" in policy
    for kind, pattern in (("script", r"<script>(.*?)</script>"), ("style", r"<style>(.*?)</style>")):
        parts = re.findall(pattern, html, re.DOTALL)
        assert len(parts) == 1
        digest = base64.b64encode(hashlib.sha256(parts[0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", html)


def test_a_setting_has_the_mean_of_its_seeds_and_half_of_its_interval(tmp_path: Path) -> None:
    path = tmp_path / "metrics.parquet"
    values = [0.1, 0.2, 0.4, 0.3]
    rows = [
        {name: cell[name] for name in atlas.KEY_COLUMNS if name in cell}
        | {"recall_15": value, "recall_15_sample_error": 0.01, "recall_15_seed_error": 1.0, "layout_seconds": 9 * value}
        for cell, value in zip(CELLS, values, strict=True)
    ]
    keep(path, pa.Table.from_pylist(rows))
    names, of_cells = atlas.read_metrics(path, CELLS)
    assert names == ["recall_15", "layout_seconds"]
    assert [row[0] for row in of_cells] == values
    found = {(one["n_neighbors"], one["min_dist"]): one for one in atlas.read_settings(path, names)}
    several = found[5, 0.1]
    error = (np.var([0.1, 0.3], ddof=1) / 2 + 0.01**2) ** 0.5
    assert several["seeds"] == 2 and several["means"][0] == pytest.approx(0.2)
    assert several["halves"] == [pytest.approx(scipy.stats.t.isf(0.025, 1) * error), None]
    # Of one seed the sample's error is known alone.
    assert found[7, 0.1]["halves"] == [pytest.approx(1.96 * 0.01, rel=1e-4), None]


def test_every_metric_is_explained() -> None:
    assert set(atlas.EXPLANATIONS) == set(measures.TITLES)


def test_a_neighborhood_is_trusted_up_to_a_p_value_of_a_twentieth(sweep: Sweep, tmp_path: Path) -> None:
    limit = np.float32(0.05)
    p_values = np.array([0, limit, np.nextafter(limit, np.float32(1)), 1, np.nan], np.float32)
    assert atlas.trust_levels(p_values).tolist() == [0, 0, 1, 1, 255]
    header, payload = sweep.collect(**sweep.choice())
    rows = decoded(payload, header["row"])
    for entry, cell in zip(header["cells"], CELLS, strict=True):
        stored = pq.read_table(sweep.of_row("trust", cell), partitioning=None)[column_of(cell)].to_numpy()
        np.testing.assert_array_equal(decoded(payload, entry["trust"]), atlas.trust_levels(stored)[rows])
        assert entry["trusted"] == [(stored <= limit).sum(), (~np.isnan(stored)).sum()]
    short = tmp_path / "trust.parquet"
    keep(short, pa.table({column_of(cell): np.zeros(3, np.float32) for cell in CELLS}))
    with pytest.raises(InputError, match="has 3 rows, and the data 64"):
        sweep.collect(trust=[short] * len(CELLS))


# ---- The page in a browser -------------------------------------------------------------------------------------------

BROWSER_ARGUMENTS = [
    *("--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb"),
    # As on a machine without a graphics card, but with WebGL, so that its code can be tried too.
    *("--disable-gpu", "--enable-unsafe-swiftshader"),
]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    names = ("google-chrome", "chromium", "chromium-browser")
    browser, chromedriver = next(filter(None, map(shutil.which, names)), None), shutil.which("chromedriver")
    if not (browser and chromedriver):
        pytest.skip("needs Chromium and its driver: on Debian, apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (*BROWSER_ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    yield started
    started.quit()


@dataclass
class Atlas:
    """An opened page, used as a reader uses it."""

    driver: Any
    sweep: Sweep
    path: Path
    downloads: Path

    def open(self, fragment: str = "", width: int = 1280, height: int = 1000) -> Atlas:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get("about:blank")
        self.driver.get(self.path.as_uri() + fragment)
        self.wait(lambda: self.run("return document.getElementById('plot').dataset.ready"))
        return self

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: Callable[[], Any], seconds: float = 20) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"nothing within {seconds} s; the page says {self.text('failure')!r}"
            time.sleep(0.02)
        return found

    def settle(self) -> None:
        """Wait until everything asked for is drawn, and the address written."""
        wait = (
            "const done = arguments[0]; setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 300)"
        )
        self.driver.execute_async_script(wait)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def text(self, name: str) -> str:
        return self.run("return document.getElementById(arguments[0]).textContent", name)

    def choose(self, name: str, value: str) -> None:
        self.run(
            "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
            "one.dispatchEvent(new Event('change'))",
            *(name, value),
        )

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    # The large picture.

    def place(self, point: np.ndarray) -> tuple[int, int]:
        """Return where a point, 0 to 1, is in the window when the whole cell is shown."""
        box = self.run(
            "const b = document.getElementById('points').getBoundingClientRect(); return [b.left, b.top, b.width]"
        )
        x, y = ((point - 0.5) * 0.94 + 0.5) * [1, -1] + [0, 1]
        return round(box[0] + x * box[2]), round(box[1] + y * box[2])

    def drag(self, path: list[tuple[float, float]], *keys: str) -> None:
        """Drag along corners given in the cell's coordinates."""
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        for key in keys:
            ActionChains(self.driver).key_down(key).perform()
        builder = ActionBuilder(self.driver, duration=20)
        places = [self.place(np.array(corner)) for corner in path]
        builder.pointer_action.move_to_location(*places[0]).pointer_down()
        for place in places[1:]:
            builder.pointer_action.move_to_location(*place)
        builder.pointer_action.pointer_up()
        builder.perform()
        for key in keys:
            ActionChains(self.driver).key_up(key).perform()

    def point_at(self, point: np.ndarray, click: bool = False) -> None:
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        builder = ActionBuilder(self.driver, duration=20)
        builder.pointer_action.move_to_location(*self.place(point))
        if click:
            builder.pointer_action.click()
        builder.perform()

    # What can be seen.

    def canvas(self, element: Any) -> np.ndarray:
        url = self.run("return arguments[0].toDataURL()", element)
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGBA")).astype(int)

    def large(self) -> np.ndarray:
        """Return what the screen shows of the large picture."""
        self.settle()
        shot = Image.open(io.BytesIO(self.find("#plot").screenshot_as_png)).convert("RGB")
        return np.asarray(shot).astype(int)[1:-1, 1:-1]

    def panels(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Return each small panel's points and marks, by the number of its cell."""
        found = {}
        for panel in self.all("#grid .panel:not(.absent)"):
            name = panel.get_attribute("aria-label")
            key = tuple(map(float, re.findall(r"[\d.]+", name)))
            number = [(cell["n_neighbors"], cell["min_dist"]) for cell in CELLS[:3]].index(key)
            found[number] = tuple(map(self.canvas, panel.find_elements("css selector", "canvas")))
        return found

    def seen(self, picture: np.ndarray, cell: int) -> np.ndarray:
        """Return the colour at each row's place, shape (64, 4)."""
        places = ((self.sweep.shown(cell) - 0.5) * 0.94 + 0.5) * [1, -1] + [0, 1]
        columns, rows = np.floor(places * len(picture)).astype(int).T
        return picture[rows, columns]

    def vivid(self, picture: np.ndarray, cell: int) -> set[int]:
        """Return the rows that are drawn in a colour, rather than faded or not at all."""
        colours = self.seen(picture, cell)[:, :3]
        return set(np.flatnonzero(np.ptp(colours, axis=1) > 40).tolist())

    def ringed(self, marks: np.ndarray, cell: int, reach: int = 4) -> set[int]:
        """Return the rows that have a ring around them, of at most `reach` pixels."""
        places = ((self.sweep.shown(cell) - 0.5) * 0.94 + 0.5) * [1, -1] + [0, 1]
        found = set()
        for row, (x, y) in enumerate(places * len(marks)):
            left, top = max(round(x) - reach, 0), max(round(y) - reach, 0)
            box = marks[top : round(y) + reach + 1, left : round(x) + reach + 1, 3]
            if (box > 200).sum() > 10:
                found.add(row)
        return found

    def saved(self, ending: str) -> Path:
        found = self.wait(lambda: [path for path in self.downloads.iterdir() if path.name.endswith(ending)])
        self.settle()
        return found[0]

    def saved_ids(self) -> list[list[str]]:
        self.click("#save-ids")
        path = self.saved(".csv")
        with path.open(newline="", encoding="utf-8") as opened:
            rows = list(csv.reader(opened))
        path.unlink()
        return rows

    def hash(self) -> str:
        self.settle()
        return self.run("return location.hash")


@pytest.fixture(scope="module")
def page(sweep: Sweep, driver: Any, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("page")
    made = Atlas(driver, sweep, sweep.write(folder / "atlas.html", **sweep.comparisons()), folder / "downloads")
    made.downloads.mkdir()
    behaviour = {"behavior": "allow", "downloadPath": str(made.downloads)}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    return made


@pytest.fixture(autouse=True)
def quiet_console(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose page writes a warning or an error, a violated security policy included."""
    yield
    if "page" in request.fixturenames or "driver" in request.fixturenames:
        entries = request.getfixturevalue("driver").get_log("browser")
        # A screenshot of an imitated graphics card is slow, and Chromium says so.
        assert [entry["message"] for entry in entries if "ReadPixels" not in entry["message"]] == []


def test_opens_without_any_request(page: Atlas) -> None:
    page.driver.get("about:blank")  # in place of the browser's own first page, which makes requests
    page.driver.get_log("performance")
    page.open()
    messages = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    sent = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    assert sent and {url for url in sent if not url.startswith("data:")} <= {"about:blank", page.path.as_uri()}
    assert page.text("failure") == ""


def test_every_cell_shows_every_point(page: Atlas) -> None:
    page.open()
    pictures = page.panels()
    assert sorted(pictures) == [0, 1, 2]
    for cell, (points, _) in pictures.items():
        assert page.vivid(points, cell) == set(range(COUNT))
    assert "not in the grid" in page.find(".panel.absent").get_attribute("aria-label")


def inside_triangle(points: np.ndarray, corners: list[tuple[float, float]]) -> set[int]:
    a, b, c = (np.array(corner) for corner in corners)
    sides = [(q - p)[0] * (points - p)[:, 1] - (q - p)[1] * (points - p)[:, 0] for p, q in ((a, b), (b, c), (c, a))]
    signs = np.sign(sides)
    return set(np.flatnonzero((signs == signs[0]).all(axis=0)).tolist())


def selected_everywhere(page: Atlas, expected: set[int]) -> None:
    page.settle()
    for cell, (points, _) in page.panels().items():
        assert page.vivid(points, cell) == expected
    rows = page.saved_ids()
    assert rows == [["id", "label"], *([IDS[row], page.sweep.labels[row]] for row in sorted(expected))]


def test_a_lasso_selects_the_same_points_in_every_cell(page: Atlas) -> None:
    corners = [(0.05, 0.07), (0.93, 0.2), (0.35, 0.88)]
    expected = inside_triangle(page.sweep.shown(1), corners)
    assert 10 < len(expected) < 40
    page.open("#cell=5/0.5/10/1")
    page.click("#lasso")
    path = [
        tuple(np.array(a) + (np.array(b) - a) * t)
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
        for t in (0, 0.5)
    ]
    page.drag(path)
    assert page.text("status").startswith(f"{len(expected)} of 64 points selected")
    selected_everywhere(page, expected)
    assert page.vivid(page.large(), 1) == expected


def test_boxes_add_to_the_selection_and_take_from_it(page: Atlas) -> None:
    from selenium.webdriver.common.keys import Keys

    def box(left: float, bottom: float, right: float, top: float) -> set[int]:
        x, y = page.sweep.shown(0).T
        return set(np.flatnonzero((x > left) & (x < right) & (y > bottom) & (y < top)).tolist())

    page.open()
    page.press("b")
    page.drag([(0.06, 0.06), (0.5, 0.5)])
    page.drag([(0.5, 0.5), (0.93, 0.93)], Keys.SHIFT)
    page.drag([(0.2, 0.2), (0.8, 0.65)], Keys.ALT)
    expected = (box(0.06, 0.06, 0.5, 0.5) | box(0.5, 0.5, 0.93, 0.93)) - box(0.2, 0.2, 0.8, 0.65)
    selected_everywhere(page, expected)
    page.press(Keys.ESCAPE)
    assert page.text("status") == "64 points, none selected"


def test_pointing_at_a_point_rings_its_neighbors_in_the_data_in_every_cell(page: Atlas) -> None:
    page.open()
    row = 20
    page.point_at(page.sweep.shown(0)[row])
    page.wait(lambda: IDS[row] in page.text("tooltip"))
    assert page.sweep.labels[row] in page.text("tooltip")
    expected = set(page.sweep.indices[row, :6].tolist())
    assert row in expected
    page.settle()
    for cell, (_, marks) in page.panels().items():
        assert page.ringed(marks, cell) == expected
    assert page.ringed(page.canvas(page.find("#marks")), 0, reach=9) == expected
    assert [one.text for one in page.all("#neighbors button")] == [IDS[other] for other in page.sweep.indices[row, 1:6]]


def test_search_finds_an_id_and_says_when_there_is_none(page: Atlas) -> None:
    page.open()
    for row in (2, 40):
        page.run("document.getElementById('id').value = ''")
        page.find("#id").send_keys(IDS[row], "\n")
        assert page.text("card-id") == IDS[row]
        page.settle()
        for cell, (_, marks) in page.panels().items():
            assert page.ringed(marks, cell) == set(page.sweep.indices[row, :6].tolist())
    page.find("#id").send_keys("0", "\n")
    assert "No point has the id" in page.text("search-note")
    page.click("#neighbors button")
    assert page.text("card-id") == IDS[page.sweep.indices[40, 1]]


def test_the_legend_hides_labels_in_every_cell(page: Atlas) -> None:
    page.open()
    order = sorted(LABELS)
    assert [one.get_property("textContent") for one in page.all("#legend .entry bdi")] == order
    page.all("#legend .entry")[1].click()
    page.settle()
    expected = {row for row, label in enumerate(page.sweep.labels) if label != order[1]}
    for cell, (points, _) in page.panels().items():
        assert page.vivid(points, cell) == expected
    assert page.text("status") == f"{len(expected)} visible points, none selected"
    page.all("#legend .only")[2].click()
    page.settle()
    assert page.vivid(page.panels()[0][0], 0) == {row for row in range(COUNT) if page.sweep.labels[row] == order[2]}
    page.all("#legend .only")[2].click()
    assert page.text("status") == "64 points, none selected"


def test_hidden_points_are_neither_selected_nor_saved(page: Atlas) -> None:
    page.open()
    page.all("#legend .entry")[0].click()
    page.press("b")
    page.drag([(-0.02, -0.02), (1.02, 1.02)])
    expected = [row for row in range(COUNT) if page.sweep.labels[row] != sorted(LABELS)[0]]
    assert [row[0] for row in page.saved_ids()[1:]] == [IDS[row] for row in expected]
    assert page.text("done") == "Saved toy-selected.csv."


def test_an_id_like_a_formula_is_saved_as_it_is_and_said(page: Atlas) -> None:
    page.open()
    page.press("b")
    page.drag([(-0.02, -0.02), (1.02, 1.02)])
    assert [row[0] for row in page.saved_ids()[1:]] == IDS
    assert "1 value begins like a formula" in page.text("done")


@pytest.mark.parametrize("colour", [f"feature:{FEATURES[0]}", "recall", "instability"])
def test_points_are_coloured_by_what_is_chosen(page: Atlas, colour: str) -> None:
    page.open()
    before = page.panels()
    page.choose("colour", colour)
    page.settle()
    after = page.panels()
    # A cell that has no seeds to compare has no instability to show.
    known = [0] if colour == "instability" else [0, 1, 2]
    for cell in after:
        values = page.sweep.features[:, 0]
        if colour != f"feature:{FEATURES[0]}":
            sweep, column = page.sweep, f"min_dist={CELLS[cell]['min_dist']}"
            path = sweep.recall(CELLS[cell]) if colour == "recall" else sweep.instability()
            values = pq.read_table(path, partitioning=None)[column if colour == "recall" else colour]
        if cell in known:
            # Viridis becomes lighter from one end to the other.
            lightness = page.seen(after[cell][0], cell)[:, 1]
            assert np.corrcoef(np.argsort(np.argsort(values)), lightness)[0, 1] > 0.9
        else:
            assert page.vivid(after[cell][0], cell) == set()
        assert not np.array_equal(before[cell][0], after[cell][0])


def test_the_metrics_stand_beside_the_grid_and_open_cells(page: Atlas) -> None:
    page.open()
    assert [one.text for one in page.all("#metric option")] == ["recall 5", "seconds"]
    # Means over seeds: n_neighbors 5 and min_dist 0.1 has two, 0 and 0.75.
    half = scipy.stats.t.isf(0.025, 1) * np.std([0, 0.75], ddof=1) / 2**0.5
    assert [one.text for one in page.all("#heatmap .value")] == [f"0.375\n± {half:.3f}", "0.250", "0.500", "–"]
    page.choose("metric", "seconds")
    assert [one.text for one in page.all("#heatmap .value")] == ["–", "–", "3.50", "–"]
    page.all("#heatmap .value")[2].click()
    assert page.text("cell-title") == "n_neighbors 7 · min_dist 0.1"


def test_seeds_are_chosen_for_the_whole_grid(page: Atlas) -> None:
    page.open("#cell=5/0.5/10/1&theme=dark")
    # All panels wait to be drawn anew when some of them lose their cell.
    page.run(
        "document.getElementById('theme').click(); const seeds = document.getElementById('seeds');"
        "seeds.value = '10/2'; seeds.dispatchEvent(new Event('change'))"
    )
    assert page.text("cell-title") == "n_neighbors 5 · min_dist 0.1"
    page.settle()
    panels = page.all("#grid .panel:not(.absent)")
    assert len(panels) == 1
    points = page.canvas(panels[0].find_element("css selector", "canvas"))
    assert page.vivid(points, 3) == set(range(COUNT))


def test_the_address_holds_the_state(page: Atlas) -> None:
    page.open()
    page.all("#grid .panel")[1].click()
    page.press("l")
    page.drag([(0.05, 0.07), (0.93, 0.2), (0.7, 0.5), (0.35, 0.88)])
    page.choose("colour", f"feature:{FEATURES[1]}")
    page.choose("metric", "seconds")
    page.all("#legend .entry")[2].click()
    page.find("#id").send_keys(IDS[3], "\n")
    page.click("#theme")
    page.click("#zoom-in")
    page.press("\t")
    page.settle()

    def state() -> list[Any]:
        pictures = {cell: [picture.tolist() for picture in both] for cell, both in page.panels().items()}
        marks = page.canvas(page.find("#marks")).tolist()
        names = ("status", "cell-title", "card-id")
        pressed = [one.get_attribute("aria-pressed") for one in page.all("[aria-pressed]")]
        chosen = [page.find(f"#{name}").get_property("value") for name in ("colour", "metric", "id")]
        return [*(page.text(name) for name in names), pressed, chosen, pictures, marks]

    before, fragment = state(), page.hash()
    page.open(fragment)
    page.settle()
    assert state() == before
    assert page.hash() == fragment


@pytest.mark.parametrize(
    "fragment",
    [
        "#cell=9/9/9/9&colour=feature:none&metric=x&hide=:none,,:%ff&view=a,b&id=%&select=n:area:5/0.1/10/1:zz;x;n:near&theme=blue",
        "#<img src=x onerror=alert(1)>",
        "#view=1e999,0,0&select=n:area:5/0.1/10/1:" + ".".join("1" * 999),
        "#cell=__proto__&colour=constructor&tool=toString",
    ],
)
def test_an_address_that_says_nonsense_shows_the_page(page: Atlas, fragment: str) -> None:
    page.open(fragment)
    assert page.text("status") == "64 points, none selected"
    assert page.text("cell-title") == "n_neighbors 5 · min_dist 0.1"
    assert page.text("failure") == ""
    assert page.vivid(page.large(), 0) == set(range(COUNT))
    assert page.hash() in (fragment, "#cell=5/0.1/10/1")


def test_the_configuration_of_the_cell_is_copied(page: Atlas) -> None:
    page.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    page.open("#cell=7/0.1/10/1")
    page.click("#copy")
    page.wait(lambda: "mine.yaml" in page.text("done"))
    copied = page.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == atlas.configuration_of(CELLS[2], SHARED)


def test_a_refused_clipboard_shows_the_configuration(page: Atlas) -> None:
    page.open()
    page.run("navigator.clipboard.writeText = () => Promise.reject(new Error('refused'))")
    page.click("#copy")
    page.wait(lambda: page.find("#configuration").is_displayed())
    assert page.find("#yaml").get_property("value") == atlas.configuration_of(CELLS[0], SHARED)


@pytest.mark.parametrize(("button", "panels"), [("save-cell", 1), ("save-grid", 3)])
def test_pictures_are_saved(page: Atlas, button: str, panels: int) -> None:
    page.open()
    page.click(f"#{button}")
    path = page.saved(".png")
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    path.unlink()
    assert min(picture.shape[:2]) >= 900
    # Three labels, so three colours, each in a third of the points.
    counts = np.unique(picture[np.ptp(picture, axis=2) > 60], axis=0, return_counts=True)[1]
    leading = counts[np.argsort(counts)[-3:]]
    assert leading.min() > 0.7 * leading.max()
    assert leading.min() > 500 * panels
    # The page is as it was.
    page.settle()
    assert page.vivid(page.panels()[0][0], 0) == set(range(COUNT))


def test_the_keyboard_is_enough(page: Atlas) -> None:
    from selenium.webdriver.common.keys import Keys

    page.open()
    focused = "const one = document.activeElement; return one.getAttribute('aria-label') || one.id || one.textContent"
    for _ in range(20):
        page.press(Keys.TAB)
        if "n_neighbors 5, min_dist 0.1" in page.run(focused):
            break
    page.press(Keys.ARROW_RIGHT)
    assert page.text("cell-title") == "n_neighbors 5 · min_dist 0.5"
    assert page.run(focused) == "n_neighbors 5, min_dist 0.5"
    page.press(Keys.ARROW_LEFT, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)  # Nothing lies to the right.
    assert page.run(focused) == "n_neighbors 7, min_dist 0.1"
    page.press("l")
    assert page.find("#lasso").get_attribute("aria-pressed") == "true"
    page.press("/", "row 33", Keys.ENTER)
    assert page.text("card-id") == "row 33"
    for _ in range(20):
        page.press(Keys.TAB)
        if page.run(focused) == "select-neighbors":
            break
    page.press(Keys.ENTER)
    assert page.text("status").startswith("6 of 64 points selected")
    page.press(Keys.ESCAPE)
    assert not page.find("#card").is_displayed()
    page.press(Keys.ESCAPE)
    assert page.text("status") == "64 points, none selected"
    page.run("document.getElementById('plot').focus()")
    page.press("+", Keys.ARROW_LEFT)
    assert "view=" in page.hash()
    page.press(Keys.ENTER)
    assert page.find("#card").is_displayed()
    page.press("0")
    assert "view=" not in page.hash()


def test_text_from_the_data_stays_text(page: Atlas) -> None:
    page.open()
    assert [one.get_property("textContent") for one in page.all("#legend bdi")] == sorted(LABELS)
    assert [one.get_property("textContent") for one in page.all("#colour optgroup option")] == FEATURES[:2]
    for row in range(len(ATTACKS)):
        page.run("document.getElementById('id').value = arguments[0]", IDS[row])
        page.click("#search button")
        assert page.text("card-id") == IDS[row]
        page.point_at(page.sweep.shown(0)[row])
        page.wait(lambda row=row: IDS[row] in page.text("tooltip"))
    page.run("document.getElementById('id').value = '<b>none</b>'")
    page.click("#search button")
    assert "<b>none</b>" in page.text("search-note")
    assert page.run("return document.title") == "toy: UMAP atlas"
    assert page.run("return document.querySelectorAll('img, b, script:not([type]):not(:last-of-type)').length") == 0
    assert page.run("return document.scripts.length") == 2  # The data is taken out when it is read.


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(page: Atlas, width: int, theme: str) -> None:
    scheme = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    page.open(width=width)
    assert page.run("return document.documentElement.scrollWidth") <= width
    background = page.panels()[0][0][0, 0, :3]
    assert (background.mean() < 60) == (theme == "dark")
    page.click("#theme")
    page.settle()
    assert (page.panels()[0][0][0, 0, :3].mean() < 60) == (theme == "light")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_fingers_tap_and_pinch(page: Atlas) -> None:
    page.open(width=390)

    def touch(kind: str, *places: tuple[int, int]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    x, y = page.place(page.sweep.shown(0)[9])
    touch("touchStart", (x + 4, y - 4))
    touch("touchEnd")
    assert page.text("card-id") == "row 9"
    assert page.find("#tooltip").is_displayed()
    x, y = page.place(np.array([0.5, 0.5]))
    touch("touchStart", (x - 30, y), (x + 30, y))
    touch("touchMove", (x - 60, y), (x + 60, y))
    touch("touchEnd")
    assert float(re.search(r"view=[\d.]+,[\d.]+,([\d.]+)", page.hash())[1]) == pytest.approx(2, rel=0.1)


# ---- Annotations -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def annotated_page(page: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("annotated")
    sweep = Sweep(folder, annotations())
    return Atlas(page.driver, sweep, sweep.write(folder / "atlas.html", **sweep.comparisons()), page.downloads)


@pytest.fixture
def annotated(annotated_page: Atlas, page: Atlas) -> Atlas:
    return annotated_page.open()


def values_of(atlas_page: Atlas, name: str) -> list[Any]:
    return atlas_page.sweep.annotations[name].to_pylist()


def legend(atlas_page: Atlas, prefix: str = "") -> list[str]:
    return [one.get_property("textContent") for one in atlas_page.all(f"#{prefix}legend .entry bdi")]


def picture_beside(atlas_page: Atlas) -> np.ndarray:
    """Return what the screen shows of the picture beside the large one."""
    atlas_page.settle()
    shot = Image.open(io.BytesIO(atlas_page.find("#beside-plot").screenshot_as_png)).convert("RGB")
    return np.asarray(shot).astype(int)[1:-1, 1:-1]


def coloured_by(seen: np.ndarray, values: list[Any]) -> bool:
    """Tell whether each value has one colour, each another, and what has no value a grey."""
    colours = {value: {tuple(seen[row, :3]) for row, one in enumerate(values) if one == value} for value in set(values)}
    grey = colours.pop(None, set())
    is_grey = all(max(colour) - min(colour) <= 10 for colour in grey)
    single = [next(iter(found)) for found in colours.values() if len(found) == 1]
    return is_grey and len(set(single)) == len(colours) and not set(single) & grey


def test_annotations_are_a_group_among_the_colours(annotated: Atlas) -> None:
    groups = {
        one.get_attribute("label"): [
            option.get_property("textContent") for option in one.find_elements("tag name", "option")
        ]
        for one in annotated.all("#colour optgroup")
    }
    assert groups == {"Annotations": list(annotated.sweep.annotations), "Features": FEATURES[:2]}


@pytest.mark.parametrize(("name", "entries"), [(BATCH, sorted(BATCHES)), ("passed", ["false", "true"])])
def test_points_are_coloured_by_categories_of_an_annotation(annotated: Atlas, name: str, entries: list[str]) -> None:
    before = annotated.seen(annotated.panels()[0][0], 0)
    annotated.choose("colour", f"annotation:{name}")
    annotated.settle()
    for cell, (points, _) in annotated.panels().items():
        assert coloured_by(annotated.seen(points, cell), values_of(annotated, name))
    assert coloured_by(before, annotated.sweep.labels)
    assert not coloured_by(before, values_of(annotated, name))
    assert legend(annotated) == [*entries, "no value"]
    texts = [text_of(one) for one in values_of(annotated, name)]
    assert [int(one.text) for one in annotated.all("#legend .entry span")] == [*map(texts.count, legend(annotated))]


def test_numbers_of_an_annotation_are_a_scale(annotated: Atlas) -> None:
    annotated.choose("colour", "annotation:depth")
    annotated.settle()
    assert (annotated.text("low"), annotated.text("high")) == ("-1", "1")
    values = np.array([np.nan if one is None else one for one in values_of(annotated, "depth")])
    seen = annotated.seen(annotated.panels()[0][0], 0)
    plain = ~np.isnan(values)
    assert np.corrcoef(values[plain], seen[plain, 1])[0, 1] > 0.9
    assert np.ptp(seen[np.isnan(values), :3], axis=1).max() <= 10
    assert legend(annotated) == ["no value"]
    annotated.click("#legend .entry")
    assert annotated.text("status") == f"{(~np.isnan(values)).sum()} visible points, none selected"


def test_values_that_are_all_missing_or_all_equal_are_shown(annotated: Atlas) -> None:
    annotated.choose("colour", "annotation:empty")
    annotated.settle()
    assert legend(annotated) == ["no value"]
    assert annotated.vivid(annotated.panels()[0][0], 0) == set()
    annotated.choose("colour", "annotation:equal")
    annotated.settle()
    assert (annotated.text("low"), annotated.text("high")) == ("0", "1")
    assert legend(annotated) == []
    assert annotated.vivid(annotated.panels()[0][0], 0) == set(range(COUNT))


def test_the_most_frequent_categories_have_colours_of_their_own(annotated: Atlas) -> None:
    annotated.choose("colour", "annotation:clone")
    annotated.settle()
    # Four of the 60 have two points, and are among the first 24.
    assert legend(annotated) == [*(f"clone {place}" for place in range(24)), "other: 36 values"]
    assert annotated.vivid(annotated.panels()[0][0], 0) <= {*range(24), *range(60, 64)}
    annotated.all("#legend .entry")[-1].click()
    assert annotated.text("status") == "28 visible points, none selected"


def test_filters_stay_when_the_colour_changes_and_are_cleared(annotated: Atlas) -> None:
    assert not annotated.find("#filters").is_displayed()
    batch = values_of(annotated, BATCH)
    annotated.choose("colour", f"annotation:{BATCH}")
    annotated.all("#legend .entry")[0].click()
    annotated.all("#legend .entry")[-1].click()
    annotated.choose("colour", "label")
    annotated.all("#legend .entry")[0].click()
    annotated.choose("colour", "recall")
    hidden = [one in (sorted(BATCHES)[0], None) for one in batch]
    by_label = [one == sorted(LABELS)[0] for one in annotated.sweep.labels]
    expected = {row for row in range(COUNT) if not (hidden[row] or by_label[row])}
    annotated.settle()
    for cell, (points, _) in annotated.panels().items():
        assert annotated.vivid(points, cell) == expected
    assert annotated.text("status") == f"{len(expected)} visible points, none selected"
    filters = annotated.all("#filter-list button")
    assert [BATCH in one.get_property("textContent") for one in filters] == [False, True]
    assert sorted(BATCHES)[0] in filters[1].get_property("textContent")
    assert "no value" in filters[1].get_property("textContent")
    # The address holds them.
    fragment = annotated.hash()
    annotated.open(fragment)
    assert annotated.hash() == fragment
    assert annotated.text("status") == f"{len(expected)} visible points, none selected"
    # One filter is cleared, then all.
    annotated.all("#filter-list button")[1].click()
    assert annotated.text("status") == f"{COUNT - sum(by_label)} visible points, none selected"
    assert not annotated.find("#show-all").is_displayed()
    annotated.open(fragment)
    annotated.click("#show-all")
    assert annotated.text("status") == "64 points, none selected"
    assert not annotated.find("#filters").is_displayed()
    assert "filter=" not in annotated.hash() and "hide=" not in annotated.hash()


def test_an_address_from_before_annotations_hides_the_same_labels(annotated: Atlas) -> None:
    annotated.open("#cell=5/0.5/10/1&hide=:plain&tool=box")
    expected = {row for row, label in enumerate(annotated.sweep.labels) if label != "plain"}
    assert annotated.vivid(annotated.panels()[1][0], 1) == expected
    assert annotated.hash() == "#cell=5/0.5/10/1&hide=:plain&tool=box"


@pytest.mark.parametrize(
    "fragment",
    [
        "#filter=none,:1;;,;passed,:maybe,other;label,:plain&beside=annotation:none",
        "#filter=%ff,%ff&beside=__proto__&colour=annotation:",
    ],
)
def test_an_address_with_unknown_filters_shows_everything(annotated: Atlas, fragment: str) -> None:
    annotated.open(fragment)
    assert annotated.text("status") == "64 points, none selected"
    assert not annotated.find("#beside-plot").is_displayed()
    assert annotated.text("failure") == ""


def test_the_same_cell_stands_beside_in_other_colours(annotated: Atlas) -> None:
    assert not annotated.find("#beside-plot").is_displayed()
    annotated.choose("beside-colour", f"annotation:{BATCH}")
    large, beside = annotated.large(), picture_beside(annotated)
    assert large.shape == beside.shape
    assert coloured_by(annotated.seen(large, 0), annotated.sweep.labels)
    assert coloured_by(annotated.seen(beside, 0), values_of(annotated, BATCH))
    assert legend(annotated) == sorted(LABELS)
    assert legend(annotated, "beside-") == [*sorted(BATCHES), "no value"]
    assert annotated.text("beside-caption-name") == BATCH
    # Its legend hides points of both.
    annotated.click("#beside-legend .entry")
    expected = {row for row, one in enumerate(values_of(annotated, BATCH)) if one != sorted(BATCHES)[0]}
    assert annotated.vivid(annotated.large(), 0) == expected
    annotated.click("#filter-list button")
    # What is pointed at and selected in one is so in the other, and both have one view.
    annotated.open("#select=n:near:row%2020&beside=annotation%3Apassed")
    selected = set(annotated.sweep.indices[20, :6].tolist())
    known = {row for row, one in enumerate(values_of(annotated, "passed")) if one is not None}
    assert annotated.vivid(annotated.large(), 0) == selected
    assert annotated.vivid(picture_beside(annotated), 0) == selected & known
    annotated.point_at(annotated.sweep.shown(0)[20], click=True)
    annotated.settle()
    marks = [annotated.canvas(annotated.find(f"#{prefix}marks")) for prefix in ("", "beside-")]
    assert (marks[0][:, :, 3] > 0).any()
    np.testing.assert_array_equal(*marks)
    annotated.press("0")
    zoomed = annotated.large(), picture_beside(annotated)
    annotated.click("#zoom-in")
    for before, after in zip(zoomed, (annotated.large(), picture_beside(annotated)), strict=True):
        assert (before != after).any()
    # The address holds it; none takes it away.
    assert "beside=annotation%3Apassed" in annotated.hash()
    annotated.choose("beside-colour", "")
    assert not annotated.find("#beside-plot").is_displayed()
    assert "beside" not in annotated.hash()


def test_the_picture_beside_is_moved_and_drawn_into_like_the_large_one(annotated: Atlas) -> None:
    from selenium.webdriver import ActionChains

    annotated.open("#beside=label")
    plot = annotated.find("#beside-plot")
    ActionChains(annotated.driver).drag_and_drop_by_offset(plot, 40, 0).perform()
    x, y, zoom = map(float, re.search(r"view=([\d.]+),([\d.]+),([\d.]+)", annotated.hash()).groups())
    assert x < 0.5 and y == 0.5 and zoom == 1
    annotated.press("0", "b")
    side = plot.size["width"]
    actions = ActionChains(annotated.driver).move_to_element_with_offset(plot, -side // 2 + 4, -side // 2 + 4)
    actions.click_and_hold().move_by_offset(side - 8, (side - 8) // 2).release().perform()
    y = annotated.sweep.shown(0)[:, 1]
    assert annotated.text("status").startswith(f"{(y > 0.5).sum()} of 64 points selected")
    # Pointing at one of its points tells of it there.
    ActionChains(annotated.driver).move_to_element(plot).perform()
    box = annotated.run("const b = arguments[0].getBoundingClientRect(); return [b.left, b.top, b.width]", plot)
    place = ((annotated.sweep.shown(0)[20] - 0.5) * 0.94 + 0.5) * [1, -1] + [0, 1]
    away = (place - 0.5) * box[2]
    ActionChains(annotated.driver).move_to_element_with_offset(plot, *map(round, away)).perform()
    annotated.wait(lambda: IDS[20] in annotated.text("beside-tooltip"))
    assert not annotated.find("#tooltip").is_displayed()


@pytest.mark.parametrize(("width", "below"), [(390, True), (1280, False)])
def test_two_pictures_fit_into_the_window(annotated: Atlas, width: int, below: bool) -> None:
    annotated.open("#beside=annotation%3Aclone&filter=clone,:clone%201", width=width)
    assert annotated.run("return document.documentElement.scrollWidth") <= width
    first, second = (annotated.find(f"#{prefix}plot").rect for prefix in ("", "beside-"))
    assert first["width"] == second["width"] >= 300
    assert (second["y"] >= first["y"] + first["height"]) == below
    assert (second["x"] >= first["x"] + first["width"]) != below


def test_a_graphics_card_draws_both_pictures(annotated: Atlas, at_start: Callable[[str], None]) -> None:
    fragment = "#beside=annotation%3Apassed&select=n:near:row%2020"
    annotated.open(fragment)
    by_processor = picture_beside(annotated)
    at_start("WebGL2RenderingContext.prototype.getParameter = () => 'a graphics card'")
    annotated.open(fragment)
    assert annotated.run("return document.getElementById('beside-points').getContext('webgl2') !== null")
    by_card = picture_beside(annotated)
    assert annotated.vivid(by_card, 0) == annotated.vivid(by_processor, 0) != set()
    assert np.abs(by_card - by_processor).mean() < 1


def test_the_card_the_tooltip_and_the_saved_file_have_the_annotations(annotated: Atlas) -> None:
    columns = annotated.sweep.annotations
    annotated.point_at(annotated.sweep.shown(0)[20], click=True)
    annotated.wait(lambda: annotated.find("#card").is_displayed())
    told = [
        [one.get_property("textContent") for one in annotated.all(f"#card-annotations {tag}")] for tag in ("dt", "dd")
    ]
    assert told == [list(columns), [text_of(column[20].as_py()) for column in columns.values()]]
    annotated.point_at(annotated.sweep.shown(0)[22])
    annotated.wait(lambda: IDS[22] in annotated.text("tooltip"))
    assert "passed true" in annotated.text("tooltip") and f"reads {2**60 + 22022}" in annotated.text("tooltip")
    annotated.press("b")
    annotated.drag([(-0.02, -0.02), (1.02, 1.02)])
    head, *rows = annotated.saved_ids()
    assert head == ["id", "label", *columns]
    assert "2 values begin like formulas" in annotated.text("done")
    for place, column in enumerate(columns.values(), 2):
        saved = [row[place] or "no value" for row in rows]
        if pa.types.is_floating(column.type):
            saved = [one if one == "no value" else str(float(one)) for one in saved]
        assert saved == [text_of(one) for one in column.to_pylist()]


def test_names_of_annotations_stay_text(annotated: Atlas) -> None:
    # One point is kept and another pointed at, both of a category with markup in its name.
    annotated.point_at(annotated.sweep.shown(0)[1], click=True)
    annotated.point_at(annotated.sweep.shown(0)[2])
    annotated.wait(lambda: BATCHES[0] in annotated.text("tooltip"))
    for name in annotated.sweep.annotations:
        annotated.choose("colour", f"annotation:{name}")
        annotated.choose("beside-colour", f"annotation:{name}")
        entries = annotated.all("#legend .entry")
        if entries:
            entries[0].click()
        annotated.settle()
        assert annotated.run("return document.querySelectorAll('img, b, dt i, bdi i, option i').length") == 0
        assert annotated.run("return document.documentElement.scrollWidth") <= 1280
    assert len(annotated.all("#filter-list button")) == 7  # All but the scale that has every value.
    assert annotated.run("return document.scripts.length") == 2


def test_both_pictures_are_saved(annotated: Atlas) -> None:
    annotated.open("#beside=annotation%3Apassed")
    annotated.click("#save-cell")
    path = annotated.saved(".png")
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    path.unlink()
    halves = picture[140:1740, 40:1640], picture[140:1740, 1680:3280]
    assert coloured_by(annotated.seen(halves[0], 0), annotated.sweep.labels)
    assert coloured_by(annotated.seen(halves[1], 0), values_of(annotated, "passed"))


# ---- The choice ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def choice_page(page: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("choice")
    sweep = Sweep(folder)
    return Atlas(page.driver, sweep, sweep.write(folder / "atlas.html", **sweep.choice()), page.downloads)


@pytest.fixture
def choice(choice_page: Atlas, page: Atlas) -> Atlas:
    return choice_page.open()


def texts_of(atlas_page: Atlas, selector: str) -> list[str]:
    return [one.get_property("textContent") for one in atlas_page.all(selector)]


def test_the_page_opens_on_the_first_of_the_short_list_and_shows_it(choice: Atlas) -> None:
    assert choice.text("cell-title") == "n_neighbors 5 · min_dist 0.5"
    assert texts_of(choice, "#list .name") == ["5 · 0.5", "7 · 0.1", "5 · 0.1"]
    assert texts_of(choice, "#list .group") == ["a", "ab", "b"]
    assert texts_of(choice, "#list .reason") == [reason for *_, reason in LISTED]
    assert choice.text("list-note").startswith("3 of 3 settings, which no other beats")
    assert "a letter in common cannot be told apart by this data" in choice.text("list-note")
    assert choice.text("tied") == "Not told apart from 5 · 0.5: 7 · 0.1."
    # The same letters stand in the grid, and what the data says stays text.
    badges = {one.get_attribute("aria-label"): one.text for one in choice.all("#grid .panel:not(.absent)")}
    assert badges["n_neighbors 7, min_dist 0.1, on the short list, group ab"] == "ab"
    assert choice.run("return document.querySelectorAll('img, b').length") == 0
    assert choice.run("return document.title") == "toy: UMAP atlas"
    choice.all("#list .listed")[1].click()
    assert choice.text("cell-title") == "n_neighbors 7 · min_dist 0.1"
    assert choice.text("tied") == "Not told apart from 7 · 0.1: 5 · 0.5, 5 · 0.1."
    assert [one.get_attribute("aria-pressed") for one in choice.all("#list .listed")] == ["false", "true", "false"]
    # An address is stronger than the list.
    assert choice.open("#cell=5/0.1/10/2").text("cell-title") == "n_neighbors 5 · min_dist 0.1"


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([(7, 0.1, "", "one seed"), (5, 0.1, "", "one seed")], "One seed: what another seed changes is unknown"),
        ([(7, 0.1, "a", "best"), (5, 0.1, "a", "best")], "These cannot be told apart by this data: take the one whose"),
        ([(7, 0.1, "a", "near"), (5, 0.1, "b", "far")], "Each is better than the others in something"),
        ([(7, 0.1, "a", "best")], "1 of 3 settings: it beats or equals every other"),
    ],
    ids=["one seed", "alike", "apart", "one"],
)
def test_the_list_says_what_is_known(page: Atlas, tmp_path: Path, listed: list[tuple], said: str) -> None:
    sweep = Sweep(tmp_path)
    made = Atlas(
        page.driver, sweep, sweep.write(tmp_path / "atlas.html", **sweep.choice(listed)), page.downloads
    ).open()
    assert said in made.text("list-note")
    assert made.text("cell-title") == "n_neighbors 7 · min_dist 0.1"
    # Where nothing is told apart there are no letters, and the sentence stands once.
    known = bool(listed[0][2])
    assert ("snakemake choose" in made.text("list-note")) != known
    assert texts_of(made, "#list .reason") == [reason for *_, reason in listed if known]
    assert len(made.all("#grid .badge")) == len(listed) * known


def test_each_number_has_its_error_and_is_explained_in_place(choice: Atlas) -> None:
    choice.open("#cell=5/0.1/10/2")
    half = scipy.stats.t.isf(0.025, 1) * np.std([0, 0.75], ddof=1) / 2**0.5
    rows = [
        [cell.get_property("textContent") for cell in row.find_elements("css selector", "th, td")]
        for row in choice.all("#numbers tr")
    ]
    assert rows == [["recall 5", "0.750", f"0.375 ± {half:.3f}"], ["seconds", "–", "–"]]
    assert "Means over 2 seeds; ± is half of the 95 % interval" in choice.text("numbers-note")
    assert choice.text("metric-error") == choice.text("numbers-note")
    # Beside another setting the means of both stand beside each other; beside another seed the two cells.
    choice.open("#cell=5/0.1/10/2&second=7/0.1/10/1")
    assert texts_of(choice, "#numbers tr:first-child td") == [f"0.375 ± {half:.3f}", "0.500"]
    choice.choose("second", "5/0.1/10/1")
    assert texts_of(choice, "#numbers tr:first-child td") == ["0.750", "0.000", f"0.375 ± {half:.3f}"]


def test_metrics_are_explained_where_they_stand(page: Atlas, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    rows = [
        {name: cell[name] for name in atlas.KEY_COLUMNS if name in cell}
        | {"recall_15": 0.5, "silhouette": 0.25, "silhouette_sample_error": 0.1}
        for cell in CELLS[:3]
    ]
    keep(tmp_path / "metrics.parquet", pa.Table.from_pylist(rows))
    made = sweep.write(tmp_path / "atlas.html", metrics=tmp_path / "metrics.parquet")
    shown = Atlas(page.driver, sweep, made, page.downloads).open()
    assert texts_of(shown, "#metric option") == ["Recall at 15", "Silhouette of labels"]
    assert texts_of(shown, "#numbers summary") == ["Recall at 15", "Silhouette of labels"]
    shown.choose("metric", "silhouette")
    assert atlas.EXPLANATIONS["silhouette"] in shown.text("metric-text")
    assert not shown.find("#metric-text").is_displayed()
    shown.click("#metric-note")
    assert shown.find("#metric-text").is_displayed()
    shown.all("#numbers summary")[1].click()
    assert atlas.EXPLANATIONS["silhouette"] in shown.all("#numbers details p")[1].text
    # One seed: the error is of the sample, and not there where it has none.
    assert texts_of(shown, "#numbers td") == ["0.500", "0.250 ± 0.196"]
    assert "from the sample alone" in shown.text("numbers-note")


def test_points_are_coloured_by_trust(choice: Atlas) -> None:
    choice.open("#cell=5/0.1/10/1&colour=trust")
    choice.settle()
    for cell, (points, _) in choice.panels().items():
        stored = pq.read_table(choice.sweep.of_row("trust", CELLS[cell]), partitioning=None)[column_of(CELLS[cell])]
        levels = atlas.trust_levels(stored.to_numpy())
        assert coloured_by(choice.seen(points, cell), [None if level == 255 else level for level in levels.tolist()])
    stored = pq.read_table(choice.sweep.of_row("trust", CELLS[0]), partitioning=None)[column_of(CELLS[0])].to_numpy()
    trusted = int((stored <= np.float32(0.05)).sum())
    assert f"In this cell {trusted} of {COUNT - 1} points are to be trusted." in choice.text("colour-note")
    assert texts_of(choice, "#legend .class span") == ["more than chance", "no more than chance", "not known"]
    choice.point_at(choice.sweep.shown(0)[0])
    choice.wait(lambda: IDS[0] in choice.text("tooltip"))
    assert "trust\u2069 more than chance" in choice.text("tooltip")
    choice.point_at(choice.sweep.shown(0)[1])
    choice.wait(lambda: IDS[1] in choice.text("tooltip"))
    assert "trust\u2069 no more than chance" in choice.text("tooltip")
    # The note is of the cell that is open.
    choice.all("#grid .panel")[1].click()
    assert f"of {COUNT} points are to be trusted." in choice.text("colour-note")
    choice.click("#save-cell")
    choice.saved(".png").unlink()


# ---- Two cells beside each other -------------------------------------------------------------------------------------


class Scattered(Sweep):
    """A sweep whose second cell is the first with a little noise, and three points exchanged with three others."""

    def __post_init__(self) -> None:
        super().__post_init__()
        generator = np.random.default_rng(9)
        self.cells[0] = generator.normal(size=(COUNT, 2)).astype(np.float32)
        self.cells[1] = self.cells[0] + generator.normal(scale=0.05, size=(COUNT, 2)).astype(np.float32)
        low, high = np.argsort(self.cells[0][:, 0])[[0, 1, 2]], np.argsort(self.cells[0][:, 0])[[-1, -2, -3]]
        self.cells[1][[*low, *high]] = self.cells[1][[*high, *low]]
        for path, points in zip(self.layouts[:2], self.cells, strict=False):
            keep(path, pa.table({"umap_1": points[:, 0], "umap_2": points[:, 1]}))

    def moved(self) -> list[int]:
        """Return the rows that move most from the first cell to the second, the most first."""
        places = [
            atlas.quantise(measures.align(cell.astype(float), self.reference())).astype(float)
            for cell in self.cells[:2]
        ]
        near = []
        for place in places:
            distances = np.linalg.norm(place[:, None] - place[None], axis=-1)
            np.fill_diagonal(distances, np.inf)
            near.append(np.argsort(distances, axis=1)[:, :15])
        exchanged = [15 - len(np.intersect1d(*both)) for both in zip(*near, strict=True)]
        apart = np.linalg.norm(places[0] - places[1], axis=1) / (2 * 65535)
        return np.argsort(-(exchanged + apart))[: -(-COUNT * 2 // 100)].tolist()


@pytest.fixture(scope="module")
def scattered_page(page: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("scattered")
    sweep = Scattered(folder)
    return Atlas(page.driver, sweep, sweep.write(folder / "atlas.html", **sweep.comparisons()), page.downloads)


@pytest.fixture
def scattered(scattered_page: Atlas, page: Atlas) -> Atlas:
    return scattered_page.open()


BOTH = "#cell=5/0.1/10/1&second=5/0.5/10/1"


def test_two_cells_stand_beside_each_other_with_the_points_that_move_most(scattered: Atlas) -> None:
    sweep = scattered.sweep
    assert not scattered.find("#beside-plot").is_displayed()
    scattered.choose("second", "5/0.5/10/1")
    large, beside = scattered.large(), picture_beside(scattered)
    assert scattered.text("caption").startswith("n_neighbors 5 · min_dist 0.1 · Colour: label")
    assert scattered.text("beside-caption").startswith("n_neighbors 5 · min_dist 0.5 · Colour: label")
    # Each picture has its own cell's points, in the same colours.
    empty = scattered.large()[0, 0]
    for picture, cell in ((large, 0), (beside, 1)):
        assert not (scattered.seen(picture, cell)[:, :3] == empty).all(axis=1).any()
    expected = sweep.moved()
    assert len(expected) == 2
    assert scattered.text("moved-note").startswith("Ringed: the 2 points (2 %) that move most")
    for prefix, cell in (("", 0), ("beside-", 1)):
        marks = scattered.canvas(scattered.find(f"#{prefix}marks"))
        assert set(expected) <= scattered.ringed(marks, cell, reach=7)
        # And rings are around nothing else.
        assert (marks[:, :, 3] > 200).sum() < len(expected) * 130
    scattered.click("#select-moved")
    assert [row[0] for row in scattered.saved_ids()[1:]] == [IDS[row] for row in sorted(expected)]
    assert scattered.vivid(picture_beside(scattered), 1) >= set(expected)
    # The address holds both, and what is selected.
    fragment = scattered.hash()
    assert "second=5/0.5/10/1" in fragment and "select=n:moved:5/0.1/10/1:5/0.5/10/1" in fragment
    scattered.open(fragment)
    assert scattered.text("status").startswith("2 of 64 points selected")
    assert scattered.hash() == fragment


def test_a_second_cell_is_opened_exchanged_and_closed(scattered: Atlas) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    panels = scattered.all("#grid .panel")
    ActionChains(scattered.driver).key_down(Keys.SHIFT).click(panels[1]).key_up(Keys.SHIFT).perform()
    assert scattered.find("#second").get_property("value") == "5/0.5/10/1"
    assert "second" in panels[1].get_attribute("class")
    panels[1].click()
    assert scattered.text("cell-title") == "n_neighbors 5 · min_dist 0.5"
    assert scattered.find("#second").get_property("value") == "5/0.1/10/1"
    # The same setting under another seed is to choose, too.
    scattered.choose("second", "")
    assert not scattered.find("#beside-plot").is_displayed() and not scattered.find("#moved-part").is_displayed()
    assert "second=" not in scattered.hash()
    panels[0].click()
    scattered.choose("second", "5/0.1/10/2")
    assert "UMAP seed 2" in scattered.text("beside-caption")
    scattered.open("#cell=5/0.1/10/1&second=9/9/9/9")
    assert not scattered.find("#beside-plot").is_displayed()
    scattered.open("#cell=5/0.1/10/1&second=5/0.1/10/1&select=n:moved:5/0.1/10/1:5/0.1/10/1;n:moved:x:y")
    assert not scattered.find("#beside-plot").is_displayed()
    assert scattered.text("status") == "64 points, none selected"


def test_an_area_and_a_point_are_those_of_the_picture_they_are_in(scattered: Atlas) -> None:
    from selenium.webdriver import ActionChains

    scattered.open(f"{BOTH}&tool=box")
    plot = scattered.find("#beside-plot")
    side = plot.size["width"]
    actions = ActionChains(scattered.driver).move_to_element_with_offset(plot, -side // 2 + 4, -side // 2 + 4)
    actions.click_and_hold().move_by_offset((side - 8) // 2, side - 8).release().perform()
    left = set(np.flatnonzero(scattered.sweep.shown(1)[:, 0] < 0.5).tolist())
    assert left != set(np.flatnonzero(scattered.sweep.shown(0)[:, 0] < 0.5).tolist())
    assert [row[0] for row in scattered.saved_ids()[1:]] == [IDS[row] for row in sorted(left)]
    row = int(np.argmin(scattered.sweep.shown(1)[:, 0]))
    place = ((scattered.sweep.shown(1)[row] - 0.5) * 0.94 + 0.5) * [1, -1] + [0, 1]
    away = (place - 0.5) * scattered.find("#beside-points").size["width"]
    ActionChains(scattered.driver).move_to_element_with_offset(plot, *map(round, away)).perform()
    scattered.wait(lambda: IDS[row] in scattered.text("beside-tooltip"))


def test_two_cells_are_saved_beside_each_other(scattered: Atlas) -> None:
    scattered.open(BOTH)
    scattered.click("#save-cell")
    path = scattered.saved(".png")
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    path.unlink()
    for cell, half in enumerate((picture[140:1740, 40:1640], picture[140:1740, 1680:3280])):
        assert (scattered.seen(half, cell)[:, :3].min(axis=1) < 250).all()
    assert (picture[80:130, 1680:] < 128).any()  # the name of the second


def test_a_graphics_card_draws_both_cells(scattered: Atlas, at_start: Callable[[str], None]) -> None:
    scattered.open(BOTH)
    by_processor = picture_beside(scattered)
    at_start("WebGL2RenderingContext.prototype.getParameter = () => 'a graphics card'")
    scattered.open(BOTH)
    assert scattered.run("return document.getElementById('beside-points').getContext('webgl2') !== null")
    by_card = picture_beside(scattered)
    assert np.abs(by_card - by_processor).mean() < 1 < np.abs(by_card - scattered.large()).mean()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_choice_fits_into_the_window(choice: Atlas, width: int, theme: str) -> None:
    choice.open(f"#cell=5/0.5/10/1&second=5/0.1/10/2&colour=trust&beside=recall&theme={theme}", width=width)
    choice.run("document.getElementById('numbers-part').open = true")
    for one in choice.all("#numbers details, #metric-explained"):
        choice.run("arguments[0].open = true", one)
    choice.settle()
    assert choice.run("return document.documentElement.scrollWidth") <= width
    assert (choice.large()[0, 0].mean() < 60) == (theme == "dark")
    first, second = (choice.find(f"#{prefix}plot").rect for prefix in ("", "beside-"))
    assert (second["y"] >= first["y"] + first["height"]) == (width < 700)


# ---- Other sweeps ----------------------------------------------------------------------------------------------------


def opened_with(page: Atlas, folder: Path, labels: Any = "as they are", **options: Any) -> Atlas:
    other = page.sweep
    if not isinstance(labels, str):
        other = Sweep(folder)
        other.store_data(labels)
    return Atlas(page.driver, other, other.write(folder / "other.html", options), page.downloads).open()


def test_a_sample_is_said_to_be_one(page: Atlas, tmp_path: Path) -> None:
    sampled = opened_with(page, tmp_path, max_points=20)
    assert "20 of 64 rows" in sampled.text("notes") and "Raise atlas.max_points" in sampled.text("notes")
    assert sampled.text("status") == "20 points, none selected"


def test_a_bare_sweep_is_shown(page: Atlas, tmp_path: Path) -> None:
    bare = opened_with(page, tmp_path, labels=None, features=0)
    assert bare.text("colour-note") == "This data has no labels."
    assert [one.text for one in bare.all("#colour option")] == ["one colour"]
    assert not bare.find("#metrics-part").is_displayed()
    for cell, (points, _) in bare.panels().items():
        assert bare.vivid(points, cell) == set(range(COUNT))
    bare.press("b")
    bare.drag([(-0.02, -0.02), (0.05, 1.02)])
    x = bare.sweep.shown(0)[:, 0]
    assert bare.saved_ids() == [["id"], *([IDS[row]] for row in np.flatnonzero(x < 0.05))]


def test_the_seed_of_an_imported_knn_is_not_named(page: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page.open()
    assert page.all("#seeds option")[0].text == "k-NN seed 10 · UMAP seed 1"
    monkeypatch.setitem(SHARED, "knn", SHARED["knn"] | {"method": "imported"})
    imported = opened_with(page, tmp_path)
    assert imported.all("#seeds option")[0].text == "imported k-NN · UMAP seed 1"


def test_numbers_as_labels_are_a_scale(page: Atlas, tmp_path: Path) -> None:
    values = np.linspace(-1, 1, COUNT)
    values[5] = np.nan
    scale = opened_with(page, tmp_path, labels=values)
    assert (scale.text("low"), scale.text("high")) == ("-1", "1")
    lightness = scale.seen(scale.panels()[0][0], 0)[:, 1]
    assert np.corrcoef(np.delete(values, 5), np.delete(lightness, 5))[0, 1] > 0.9
    scale.find("#id").send_keys(IDS[5], "\n")
    assert scale.text("card-label") == "no label"
    scale.press("\t", "b")
    scale.drag([(-0.02, -0.02), (1.02, 1.02)])
    saved = [row[1] for row in scale.saved_ids()[1:]]
    assert saved.pop(5) == ""
    np.testing.assert_array_equal(np.array(saved, float), np.delete(values, 5))


def test_an_empty_label_is_called_blank_and_saved_as_it_is(page: Atlas, tmp_path: Path) -> None:
    blank = opened_with(page, tmp_path, labels=["", "b"] * (COUNT // 2))
    assert [one.text for one in blank.all("#legend .entry bdi")] == ["(blank)", "b"]
    blank.find("#id").send_keys(IDS[8], "\n")
    assert blank.text("card-label") == "(blank)"
    blank.press("\t", "b")
    blank.drag([(-0.02, -0.02), (1.02, 1.02)])
    assert [row[1] for row in blank.saved_ids()[1:]] == ["", "b"] * (COUNT // 2)


@pytest.fixture
def at_start(page: Atlas) -> Iterator[Callable[[str], None]]:
    """Return what runs a script before those of the page."""
    added = []

    def add(source: str) -> None:
        added.append(page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source}))

    yield add
    for one in added:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", one)


def test_a_graphics_card_draws_the_same_picture(page: Atlas, at_start: Callable[[str], None]) -> None:
    fragment = "#cell=5/0.5/10/1&select=n:near:row%2020"
    page.open(fragment)
    assert page.run("return document.getElementById('points').getContext('webgl2')") is None
    by_processor = page.large()
    at_start("WebGL2RenderingContext.prototype.getParameter = () => 'a graphics card'")
    page.open(fragment)
    assert page.run("return document.getElementById('points').getContext('webgl2') !== null")
    by_card = page.large()
    assert page.vivid(by_card, 1) == page.vivid(by_processor, 1) == set(page.sweep.indices[20, :6].tolist())
    assert np.abs(by_card - by_processor).mean() < 1
    # It is told of changes.
    page.click("#clear")
    page.click("#theme")
    page.settle()
    assert page.vivid(page.large(), 1) == set(range(COUNT))
    assert page.large()[0, 0].mean() < 60


def test_an_old_browser_is_told_so(page: Atlas, at_start: Callable[[str], None]) -> None:
    at_start("delete window.DecompressionStream")
    page.driver.get("about:blank")
    page.driver.get(page.path.as_uri())
    page.wait(lambda: "too old" in page.text("failure"))
    assert page.find("#failure").is_displayed()
