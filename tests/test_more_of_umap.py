"""Supervised runs and densMAP equal umap-learn's own call, bit for bit; off, they leave every key as it was."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import UMAP_DEFAULTS, Stages, snakemake, store_rows
from pyarrow import csv
from sklearn.datasets import load_iris

from umap_sweep import lineage, store
from umap_sweep.cells.keys import settings_of_stage
from umap_sweep.errors import InputError
from umap_sweep.quality.annotation_metrics import accuracy_of_unseen
from umap_sweep.settings.configuration import complete

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:umap")

FEATURES, SPECIES = load_iris(return_X_y=True)
# What a partly labelled run is told: the species of two rows of three.
KNOWN = np.where(np.arange(len(SPECIES)) % 3, SPECIES, -1)
TARGET = {"target": "label", "target_metric": "categorical", "target_weight": 0.5}
DENSMAP = {"densmap": True, "dens_lambda": 2.0, "dens_frac": 0.3, "dens_var_shift": 0.1}

GRID = {"n_neighbors": [10], "min_dist": [0.1], "seed": [1]}


@pytest.fixture
def stages(tmp_path):
    return Stages(tmp_path, FEATURES)


def names_of(codes: np.ndarray) -> pa.Array:
    """Return labels as text, null where there is none."""
    return pa.array([None if code < 0 else ("setosa", "versicolor", "virginica")[code] for code in codes])


@pytest.mark.parametrize(
    ("label", "y", "own"),
    [
        (names_of(KNOWN), KNOWN, {}),
        (KNOWN, KNOWN, {"target_weight": 1.0, "set_op_mix_ratio": 0.4}),
        (FEATURES[:, 2], FEATURES[:, 2], {"target_metric": "euclidean", "target_weight": 0.3}),
        (SPECIES, SPECIES, {"target_metric": "ordinal"}),
    ],
    ids=["partly labelled", "numbers, all by the target", "numeric", "ordinal"],
)
def test_supervised(stages, label, y, own):
    rows, umap = store_rows(stages.folder, 150, label=label), {"n_epochs": 30, **own}
    found = stages.cell(8, 0.1, 3, rows=rows, **TARGET | umap)
    assert found.tobytes() == stages.plain(8, 0.1, 3, y=y, **umap).tobytes()
    assert (
        found.tobytes()
        != stages.cell(8, 0.1, 3, **{name: umap[name] for name in umap if "target" not in name}).tobytes()
    )


@pytest.mark.parametrize(
    ("own", "y"),
    [({"n_epochs": 40}, None), ({"n_epochs": 9, "dens_frac": 0.6, "n_components": 3}, SPECIES)],
    ids=["alone", "and a target"],
)
def test_densmap(stages, own, y):
    rows = None if y is None else store_rows(stages.folder, 150, label=y)
    found = stages.cell(8, 0.1, 3, rows=rows, **({} if y is None else TARGET), **DENSMAP | own)
    expected = stages.fit(8, 0.1, 3, y=y, output_dens=True, **DENSMAP | own)
    assert found.tobytes() == expected.embedding_.tobytes()
    stored = store.read(stages.folder / "layout.parquet")
    for name, radii in (("rad_orig", expected.rad_orig_), ("rad_emb", expected.rad_emb_)):
        assert stored.column(name).to_numpy().tobytes() == radii.tobytes()


def test_densmap_has_epochs_of_its_own(stages):
    stages.cell(8, 0.1, 3, **DENSMAP | {"dens_lambda": 0.0})
    assert store.read_record(stages.folder / "layout.parquet")["key"]["n_epochs"] == 700


def test_densmap_without_a_neighbour_is_refused(stages):
    with pytest.raises(InputError, match=r"^\d+ rows have no neighbour at n_neighbors 8, and so no radius"):
        stages.cell(8, 0.1, 3, **DENSMAP, disconnection_distance=0.2)


@pytest.mark.parametrize(
    ("label", "metric", "said"),
    [
        (names_of(SPECIES), "ordinal", "whose values are no numbers, but umap.target_metric is ordinal"),
        (
            pa.array([None, *SPECIES[1:]]),
            "euclidean",
            "missing in 1 of 150 rows. umap-learn takes partly labelled rows",
        ),
        (pa.nulls(150, pa.string()), "categorical", "has no value in any row"),
        (np.full(150, -1), "categorical", "has no value in any row"),
        (np.full(150, 7), "ordinal", "which is 7 in every row, and umap.target_metric ordinal divides by"),
        (np.full(150, 7), "count", "which is 7 in every row, and umap.target_metric count divides by"),
    ],
)
def test_a_target_that_cannot_be_one(stages, label, metric, said):
    rows = store_rows(stages.folder, 150, label=label)
    with pytest.raises(InputError, match=re.escape(said)):
        stages.cell(8, 0.1, 3, rows=rows, **TARGET | {"target_metric": metric})


@pytest.mark.parametrize("written", ["parquet", "csv"])
def test_text_that_is_to_be_numbers_is_refused_before_a_k_nn(tmp_path, written):
    """By the plan where the file says its types, otherwise by the job that reads the label."""
    table = pa.table({f"x{axis}": FEATURES[:, axis] for axis in range(4)} | {"species": names_of(SPECIES)})
    path = tmp_path / f"iris.{written}"
    (pq.write_table if written == "parquet" else csv.write_csv)(table, path)
    config = {
        "dataset": "iris",
        "datasets": {"iris": {"source": "file", "path": path.name, "label": "species"}},
        "claims": {"dataset": "iris"},
        "knn": {"n_neighbors": 10},
        "grid": GRID,
        "umap": {"target": "species", "target_metric": "ordinal"},
    }
    said = "umap.target is 'label', whose values are no numbers, but umap.target_metric is ordinal; use categorical"
    plan = snakemake(tmp_path, "-n", config=config)
    assert (plan.code == 1, said in plan.output) == (written == "parquet", written == "parquet"), plan.output
    run = snakemake(tmp_path, cores=1, config=config)
    assert run.code == 1
    assert said in run.output
    assert not list(tmp_path.rglob("knn.parquet"))
    assert not list(tmp_path.rglob("rows.parquet"))
    # What has numbers, or is compared by equality, is planned.
    for changed in ({"target": "species"}, {"target": "label", "target_metric": "categorical"}):
        assert snakemake(tmp_path, "-n", config=config | {"umap": changed}).code == 0


def test_a_target_that_leaves_no_edge_is_refused(stages):
    """A category of its own for each row, such as an id, with all weight on the target."""
    rows = store_rows(stages.folder, 150, label=[f"row {row}" for row in range(150)])
    with pytest.raises(InputError, match=r"^umap.target_weight 1 leaves no edge .* n_neighbors 8, .* lower the weight"):
        stages.cell(8, 0.1, 3, rows=rows, **TARGET | {"target_weight": 1.0})


@pytest.mark.parametrize(
    ("umap", "said"),
    [
        ({"dens_lambda": 1.0}, "umap.dens_lambda is 1.0, which means nothing without umap.densmap"),
        ({"target_weight": 0.5}, "umap.target_weight is 0.5, which means nothing without umap.target"),
        ({"densmap": True}, "transform places no new rows by densMAP"),
        ({"target": "phase"}, "umap.target is 'phase', which is no annotation of mine; known are day"),
    ],
)
def test_wrong_combinations(umap, said):
    source = {"source": "file", "path": "a.csv", "label": "kind", "annotations": ["day"]}
    with pytest.raises(InputError, match=re.escape(said)):
        complete(
            {
                "dataset": "mine",
                "datasets": {"mine": source, "tutorial_blobs": source},
                "umap": umap,
                "transform": {"cell": {"n_neighbors": 15, "min_dist": 0.2}, "dataset": "tutorial_blobs"},
            }
        )


def test_the_label_by_its_own_name():
    source = {"source": "file", "path": "a.csv", "label": "kind"}
    datasets = {"mine": source, "tutorial_blobs": source}
    assert complete({"dataset": "mine", "datasets": datasets, "umap": {"target": "kind"}})["umap"]["target"] == "label"


def test_what_is_not_used_is_in_no_key():
    assert complete({})["umap"] == UMAP_DEFAULTS
    assert (
        complete({"umap": {"densmap": False, "target": None, "disconnection_distance": None}})["umap"] == UMAP_DEFAULTS
    )


def test_a_graph_made_with_another_parameter_is_not_taken(stages):
    edges = stages.folder / "edges.parquet"
    stages.cell(8, 0.1, 3, disconnection_distance=2.0)
    record = store.read_record(edges)
    for umap, taken in (({}, False), ({"disconnection_distance": 2.0}, True)):
        key = settings_of_stage("graph", complete({"umap": umap}))
        reads = {"graph": {"digest": record["code"], "libraries": {}, "key": key}}
        if taken:
            lineage.check([edges], reads)
        else:
            with pytest.raises(
                InputError, match=r"made with disconnection_distance 2\.0, but the configuration says None"
            ):
                lineage.check([edges], reads)


@pytest.mark.parametrize(("weight", "taken"), [(0.2, True), (0.8, False)])
def test_a_graph_has_the_weight_that_its_path_says(tmp_path, weight, taken):
    stages = Stages(tmp_path / "target_weight=0.2", FEATURES)
    rows, edges = store_rows(stages.folder, 150, label=names_of(KNOWN)), stages.folder / "edges.parquet"
    stages.cell(8, 0.1, 3, rows=rows, **TARGET | {"target_weight": weight})
    settings = complete({"umap": {"target": "label"}, "grid": {"target_weight": [0.2, 0.8]}})
    key = settings_of_stage("graph", settings)
    reads = {"graph": {"digest": store.read_record(edges)["code"], "libraries": {}, "key": key}}
    if taken:
        lineage.check([edges], reads)
    else:
        with pytest.raises(InputError, match=r"made with target_weight 0\.8, but the configuration says 0\.2"):
            lineage.check([edges], reads)


def test_accuracy_of_rows_that_were_not_told():
    codes = np.array([0, 0, 1, 1, -1])
    unseen = np.array([True, False, True, False, True])
    # The nearest told row of row 0 has its label, that of row 2 has not; row 4 has no label.
    coordinates = np.array([[0, 0], [1, 0], [2, 0], [9, 0], [5, 0]], dtype=np.float32)
    assert accuracy_of_unseen(coordinates, codes, unseen) == 0.5
    assert np.isnan(accuracy_of_unseen(coordinates, codes, np.zeros(5, dtype=bool)))


def test_a_sweep(tmp_path):
    """Radii and both metrics arrive in the tables; recomputed, all is the same; a sweep without them has other keys.

    The weights are axes of its grid, and what does not depend on them is shared.
    """
    lines = [",".join(["a,b,c,d,species,known"])]
    told, names = names_of(KNOWN).to_pylist(), names_of(SPECIES).to_pylist()
    lines += [
        ",".join([*map(str, row), name, known or ""]) for row, name, known in zip(FEATURES, names, told, strict=True)
    ]
    (tmp_path / "iris.csv").write_text("\n".join(lines) + "\n")
    config = {
        "dataset": "iris",
        "datasets": {"iris": {"source": "file", "path": "iris.csv", "label": "species", "annotations": ["known"]}},
        "knn": {"n_neighbors": 16},
        "grid": GRID | {"target_weight": [0.2, 0.8], "dens_lambda": [0, 2]},
        "umap": {"target": "known", "densmap": True, "n_epochs": 30},
    }
    folder = tmp_path / "results" / "iris"
    done = snakemake(tmp_path, "results/iris/metrics.parquet", "results/iris/sweep.parquet", config=config)
    assert done.code == 0, done.output
    found = store.read(folder / "metrics.parquet").to_pylist()
    every = [(0.2, 0.0), (0.2, 2.0), (0.8, 0.0), (0.8, 2.0)]
    assert [(cell["target_weight"], cell["dens_lambda"]) for cell in found] == every
    for cell in found:
        assert 0 < cell["label_accuracy_unseen"] <= 1
    for without, with_densities in (found[:2], found[2:]):
        assert without["density_correlation"] < with_densities["density_correlation"] <= 1
    sweep = store.read(folder / "sweep.parquet")
    assert sweep.column_names[-2:] == ["rad_orig", "rad_emb"]
    for name, count in (("edges", 2), ("initial_layout", 2), ("layout", 4)):
        paths = list(folder.rglob(f"{name}.parquet"))
        assert len({store.read_record(path)["fingerprint"] for path in paths}) == len(paths) == count
    (graph,) = (folder / "graph").rglob("target_weight=0.8/edges.parquet")
    assert "iris/rows.parquet" in store.read_record(graph)["inputs"]
    assert store.read_record(graph)["key"]["target_weight"] == 0.8
    done = snakemake(tmp_path, "verify", config=config)
    assert done.code == 0, done.output
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config | {"umap": {"n_epochs": 30}, "grid": GRID}))
    plan = snakemake(tmp_path, "-n", "results/iris/sweep.parquet", "--configfile", "mine.yaml")
    assert {"graph", "initial_layout", "sweep"} <= set(plan.jobs), plan.output
    assert plan.laid_out == 1
    assert "knn" not in plan.jobs
