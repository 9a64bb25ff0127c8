"""A wrong configuration is one sentence with the key, the value and what is allowed; a right one becomes cells."""

import copy
import re
from importlib.metadata import requires
from typing import ClassVar

import pytest
import yaml
from conftest import ROOT, snakemake

from umap_sweep.cells import grid
from umap_sweep.cells.keys import KEY_COLUMNS, cell_key, key_columns, optional_axes
from umap_sweep.cells.lines import line_of, short_name
from umap_sweep.cells.named import named_cell
from umap_sweep.errors import InputError
from umap_sweep.settings import configuration
from umap_sweep.settings import schema as rules


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))


def changed(config: dict, path: str, value: object) -> dict:
    """Return a copy of `config` with the value at a dotted path replaced."""
    config = copy.deepcopy(config)
    *parents, last = path.split(".")
    inner = config
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return config


def refusal(config: dict) -> str:
    """Return the message with which a configuration is refused."""
    with pytest.raises(InputError) as refused:
        grid.cells(configuration.complete(config))
    return str(refused.value)


def test_default_is_the_four_by_four_grid(config):
    cells = grid.cells(configuration.complete(config))
    assert list(cells.columns) == ["metric", "knn_k", "knn_seed", "knn_jobs", "n_neighbors", "min_dist", "seed"]
    pairs = list(zip(cells["n_neighbors"], cells["min_dist"], strict=True))
    assert pairs == [(k, m) for k in (5, 15, 30, 50) for m in (0.0, 0.2, 0.5, 0.9)]
    assert set(cells["seed"]) == {10}


def test_several_seeds_are_further_axes(config):
    config = changed(changed(config, "grid.seed", [1, 2, 3]), "knn.seed", [4, 5])
    cells = grid.cells(configuration.complete(config))
    assert len(cells) == 16 * 3 * 2
    assert not cells.duplicated().any()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("dataset", "digit", ["dataset", "'digit'", "nearest is 'digits'"]),
        ("knn.metrc", "cosine", ["'metrc'", "nearest is 'metric'"]),
        ("gird", {}, ["'gird'", "nearest is 'grid'"]),
        ("knn.metric", "euclidian", ["knn.metric", "'euclidian'", "nearest is 'euclidean'"]),
        ("knn.method", "fast", ["knn.method", "'fast'", "auto, exact, nn-descent"]),
        ("knn.n_neighbors", 1, ["knn.n_neighbors", "1", "from 2"]),
        ("knn.n_neighbors", "50", ["knn.n_neighbors", "'50'", "whole number"]),
        ("knn.n_neighbors", True, ["knn.n_neighbors", "True", "whole number"]),
        ("knn.n_jobs", 0, ["knn.n_jobs", "0", "from 1"]),
        ("knn.n_jobs", -1, ["knn.n_jobs", "-1", "from 1"]),
        ("knn.seed", -3, ["knn.seed", "-3", "from 0"]),
        ("knn.seed", [4, 4], ["knn.seed", "[4, 4]", "different"]),
        ("grid.n_neighbors", [5, 60], ["n_neighbors 60", "knn.n_neighbors 50"]),
        ("grid.n_neighbors", [1], ["grid.n_neighbors.0", "from 2"]),
        ("grid.n_neighbors", [5, 5], ["grid.n_neighbors", "[5, 5]", "different"]),
        ("grid.n_neighbors", [], ["grid.n_neighbors", "[]"]),
        ("grid.n_neighbors", [5.0], ["grid.n_neighbors.0", "5.0", "whole number"]),
        ("grid.n_neighbors", [5.5], ["grid.n_neighbors.0", "5.5", "whole number"]),
        ("grid.min_dist", [-0.1], ["grid.min_dist.0", "-0.1", "from 0"]),
        ("grid.min_dist", [0.1, 0.1], ["grid.min_dist", "different"]),
        ("grid.min_dist", [1.5], ["min_dist 1.5", "umap.spread 1.0"]),
        ("grid.min_dist", ["1e-3"], ["grid.min_dist.0", "'1e-3'", "1.0e-3"]),
        ("grid.min_dist", [float("nan")], ["grid.min_dist.0", "nan", "finite"]),
        ("umap.spread", float("inf"), ["umap.spread", "inf", "finite"]),
        ("umap.n_epochs", 0, ["umap.n_epochs", "0"]),
        ("umap.init", "spectra", ["umap.init", "nearest is 'spectral'"]),
        ("umap.metric_kwds", {"p": 3}, ["umap.metric_kwds", "'p'", "euclidean"]),
        ("umap.output_dens", True, ["'output_dens'"]),
        ("plot.dpi", 10, ["plot.dpi", "10", "from 50"]),
        ("datasets.mine", {"source": "fil"}, ["datasets.mine.source", "'fil'", "nearest is 'file'"]),
        ("datasets.mine", {"source": "file"}, ["datasets.mine.path", "missing"]),
        ("datasets.mine", {"source": "file", "path": "a.csv", "lable": "b"}, ["'lable'", "nearest is 'label'"]),
        ("datasets.mine", {"source": "url", "url": "https://a/b.csv"}, ["datasets.mine.sha256", "missing"]),
        ("datasets.mine", {"source": "url", "url": "ftp://a/b.csv", "sha256": "0" * 64}, ["an http or https address"]),
        ("datasets.mine", {"source": "sklearn", "name": "wines"}, ["datasets.mine.name", "nearest is 'wine'"]),
        ("datasets.mine", {"source": "file", "path": "a.csv", "sha256": "12"}, ["sha256", "64 hexadecimal"]),
        ("datasets.mine", {"source": "anndata", "path": "a.h5ad", "osbm": "X"}, ["'osbm'", "nearest is 'obsm'"]),
        (
            "datasets.mine",
            {"source": "anndata", "path": "a.h5ad", "obsm": "X_pca", "layer": "counts"},
            ["datasets.mine has both a layer and an obsm"],
        ),
        ("datasets.mine", {"source": "file", "path": "a.csv", "separator": "||"}, ["'||'; allowed is one character."]),
        ("datasets.mine", {"source": "file", "path": "a.csv", "separator": ""}, ["''; allowed is one character."]),
        ("datasets.mine", {"source": "file", "path": "a.csv", "decimal": ";"}, ["';'; allowed is one of ., ,."]),
        (
            "datasets.mine",
            {"source": "subset", "of": "digits", "ids": {"path": "i.csv", "separator": "::"}},
            ["datasets.mine.ids.separator is '::'; allowed is one character."],
        ),
        (
            "datasets.mine",
            {"source": "file", "path": ""},
            ["datasets.mine.path is ''; allowed is text, not an empty one"],
        ),
        ("knn.method", "imported", ["knn.method is imported, but knn.path is missing"]),
        ("knn.path", "knn.npz", ["knn.path is 'knn.npz', but knn.method is auto", "set the method to imported"]),
        ("knn.neighbors_key", "mine", ["knn.neighbors_key is 'mine', but knn.method is auto"]),
    ],
)
def test_wrong_value_is_named_with_what_is_allowed(config, path, value, said):
    message = refusal(changed(config, path, value))
    assert message.count("\n") == 0
    for part in said:
        assert part in message


@pytest.mark.parametrize(("spread", "min_dist"), [(0.01, 0.0), (0.1, 0.05), (12.0, 12.0), (50.0, 40.0)])
def test_a_spread_that_no_curve_fits_is_refused(config, spread, min_dist):
    """Where umap-learn's fit ends in a negative a or b, which mean nothing."""
    wrong = changed(changed(config, "umap.spread", spread), "grid.min_dist", [min_dist])
    assert f"no curve for umap.spread {spread} and min_dist {min_dist}" in refusal(wrong)


@pytest.mark.parametrize("spread", [0.3, 0.5, 1.0, 2.5, 7.0])
def test_every_min_dist_has_a_curve_where_the_message_says_so(config, spread):
    axis = [round(spread * step / 20, 6) for step in range(21)]
    right = changed(changed(config, "umap.spread", spread), "grid.min_dist", axis)
    assert len(grid.cells(configuration.complete(right))) == 4 * len(axis)


def test_plain_cells_have_a_knn_of_their_own(config):
    config = changed(changed(config, "knn.method", "plain"), "grid.seed", [1, 2])
    cells = grid.cells(configuration.complete(config))
    assert len(cells) == 32
    assert (cells["knn_k"] == cells["n_neighbors"]).all()
    assert (cells["knn_seed"] == cells["seed"]).all()
    assert "knn.n_jobs is 2" in refusal(changed(config, "knn.n_jobs", 2))


def imported(config: dict, **knn: object) -> dict:
    return config | {"knn": config["knn"] | {"method": "imported", "path": "cells.h5ad"} | knn}


def test_cells_of_an_imported_knn_have_no_seed_or_jobs_of_it(config):
    cells = grid.cells(configuration.complete(imported(config, seed=7, n_jobs=3)))
    assert len(cells) == 16
    assert set(cells["knn_seed"]) == set(cells["knn_jobs"]) == {0}


@pytest.mark.parametrize(
    ("knn", "said"),
    [
        ({"seed": [1, 2]}, "several k-NN seeds, but an imported k-NN is one; give one in knn.seed"),
        ({"path": "knn.csv"}, "knn.path is 'knn.csv'; allowed is a file of .npz, .parquet, .h5ad"),
        ({"path": "knn.npz", "neighbors_key": "mine"}, "knn.neighbors_key is 'mine', but knn.path is no .h5ad"),
    ],
)
def test_an_imported_knn_that_contradicts_itself(config, knn, said):
    assert said in refusal(imported(config, **knn))


def test_which_neighbours_of_an_anndata_file(config):
    assert configuration.complete(imported(config))["knn"]["neighbors_key"] == "neighbors"
    assert configuration.complete(imported(config, neighbors_key="mine"))["knn"]["neighbors_key"] == "mine"
    assert "neighbors_key" not in configuration.complete(imported(config, path="knn.npz"))["knn"]


def test_hostile_dataset_name_is_refused(config):
    config["datasets"]["../up"] = {"source": "sklearn", "name": "iris"}
    assert "'../up'" in refusal(config)


def test_a_given_data_set_replaces_the_default_of_its_name(config):
    given = {"datasets": {"mnist": {"source": "file", "path": "mnist.npz"}}}
    config["datasets"]["mnist"] |= given["datasets"]["mnist"]  # as Snakemake merges it
    assert configuration.complete(config, given)["datasets"]["mnist"] == given["datasets"]["mnist"] | {
        "missing": "refuse"
    }


def test_a_table_and_an_axis_exclude_each_other(config):
    given = {"grid": {"table": "cells.csv", "n_neighbors": [5]}}
    config["grid"] |= given["grid"]
    with pytest.raises(InputError, match=r"both a table and n_neighbors; .* remove the table"):
        configuration.complete(config, given)
    with pytest.raises(InputError, match="both a table and n_neighbors"):
        configuration.complete(config, given, given)


@pytest.mark.parametrize(
    ("in_file", "typed", "left"),
    [
        ({"n_neighbors": [5, 7], "min_dist": [0.1]}, {"table": "cells.csv"}, {"table": "cells.csv"}),
        ({"n_neighbors": [5], "seed": [1, 2]}, {"table": "cells.csv"}, {"table": "cells.csv", "seed": [1, 2]}),
        ({"table": "cells.csv"}, {"table": "others.csv"}, {"table": "others.csv"}),
        ({"table": "cells.csv"}, {"n_neighbors": ["7"]}, {"n_neighbors": [7], "min_dist": [0.0, 0.2, 0.5, 0.9]}),
        ({"table": "cells.csv"}, {"seed": ["3"]}, {"table": "cells.csv", "seed": [3]}),
    ],
)
def test_what_is_typed_replaces_what_a_file_has_of_the_grid(config, in_file, typed, left):
    given = {"grid": in_file | typed}
    config["grid"] |= given["grid"]
    grid = configuration.complete(config, given, {"grid": typed})["grid"]
    assert grid == {"seed": [10]} | left


WRITTEN_TWICE = {
    "dataset: a\nknn: {}\ndataset: b\n": "dataset twice, in lines 1 and 3",
    "grid:\n  seed: [1]\n  min_dist: [0.1]\n  seed: [2]\n": "grid.seed twice, in lines 2 and 4",
    "datasets: {mine: {source: file, path: a, path: b}}\n": "datasets.mine.path twice, in lines 1 and 1",
    "datasets:\n  m:\n    annotations: [{path: a}, {path: b, id: c, id: d}]\n": "datasets.m.annotations.1.id twice",
    '{"dataset": "a",\n"dataset": "b"}': "dataset twice, in lines 1 and 2",
    "a: &a {b: [*a, 1]}\nc: *a\nc: 2\n": "c twice, in lines 2 and 3",
}


@pytest.mark.parametrize("written", WRITTEN_TWICE)
def test_a_key_that_is_written_twice_is_refused(tmp_path, written):
    path = tmp_path / "mine.yaml"
    path.write_text(written)
    with pytest.raises(InputError, match=f"^{path} has {WRITTEN_TWICE[written]}.* keep one"):
        configuration.check_written(path)


@pytest.mark.parametrize(
    "written",
    ["", "- 1\n", "a: [\n", "a: {b: 1}\nc: {b: 1}\n", "__use_yte__: true\n?if True:\n  a: 1\n?if True:\n  b: 1\n"],
)
def test_what_is_written_once_or_otherwise_is_not(tmp_path, written):
    (tmp_path / "mine.yaml").write_text(written)
    configuration.check_written(tmp_path / "mine.yaml")


def test_the_pipeline_refuses_a_key_that_a_file_has_twice(tmp_path):
    (tmp_path / "mine.yaml").write_text("grid: {seed: [1]}\ngrid: {min_dist: [0.1]}\n")
    run = snakemake(tmp_path, "--dry-run", "--configfile", "mine.yaml")
    assert run.code != 0
    assert "mine.yaml has grid twice, in lines 1 and 2" in run.output


@pytest.mark.parametrize("name", ["whole", "half", "quarter"])
def test_annotation_files_of_all_that_a_subset_is_of_are_looked_for(name):
    datasets = {
        "whole": {"source": "sklearn", "name": "iris"},
        "half": {"source": "subset", "of": "whole", "sample": {"rows": 70}},
        "quarter": {"source": "subset", "of": "half", "sample": {"rows": 35}},
    }
    datasets[name]["annotations"] = [{"path": "nowhere.csv", "id": "id", "columns": ["donor"]}]
    given = {"dataset": "quarter", "datasets": datasets, "claims": {"dataset": "whole"}}
    settings = configuration.complete(given | {"plot": {"annotations": ["donor"]}})
    with pytest.raises(InputError, match=rf"datasets\.{name}\.annotations\.0\.path is 'nowhere\.csv'"):
        configuration.check_sources(settings)


def test_a_date_is_the_text_that_it_was():
    one = yaml.safe_load("{source: file, path: d.csv, label: 2024-05-01}")
    part = yaml.safe_load("{source: subset, of: mine, where: {day: [2024-05-01, 2024-05-02]}}")
    given = {"dataset": "mine", "datasets": {"mine": one, "part": part}, "claims": {"dataset": "mine"}}
    found = configuration.complete(given)["datasets"]
    assert found["mine"]["label"] == "2024-05-01"
    assert found["part"]["where"] == {"day": ["2024-05-01", "2024-05-02"]}
    part["where"]["day"] = yaml.safe_load("2024-05-01 10:00:00")
    with pytest.raises(InputError, match="YAML reads this as a time: put it in quotes"):
        configuration.complete(given)


@pytest.mark.parametrize(
    ("section", "key"),
    [("grid", "min_dist"), ("grid", "n_neighbors"), ("grid", "seed"), ("knn", "metric"), ("knn", "n_neighbors")],
)
def test_what_is_not_given_has_the_default_of_the_schema(config, section, key):
    del config[section][key]
    expected = rules.schema()["properties"][section]["properties"][key]["default"]
    assert configuration.complete(config)[section][key] == expected
    assert configuration.complete({})[section][key] == expected


class TestTable:
    """A grid given as a table instead of a product."""

    def cells(self, config, tmp_path, text, name="cells.csv"):
        (tmp_path / name).write_text(text)
        config = changed(config, "grid.table", str(tmp_path / name))
        return grid.cells(configuration.complete(config))

    def test_one_row_is_one_cell(self, config, tmp_path):
        cells = self.cells(config, tmp_path, "n_neighbors,min_dist,seed\n5,0.1,3\n40,0.25,4\n")
        assert cells[["n_neighbors", "min_dist", "seed"]].to_numpy().tolist() == [[5, 0.1, 3], [40, 0.25, 4]]

    def test_tabs_and_the_configured_seeds(self, config, tmp_path):
        config = changed(config, "grid.seed", [1, 2])
        cells = self.cells(config, tmp_path, "min_dist\tn_neighbors\n0.1\t5\n", "cells.tsv")
        assert cells["seed"].tolist() == [1, 2]
        assert cells["knn_seed"].tolist() == [10, 10]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("n_neighbors,min_dist\n5,x\n", ["min_dist 'x'", "from 0"]),
            ("n_neighbors,min_dist\n5,\n", ["min_dist nan", "from 0"]),
            ("n_neighbors,min_dist\n5.5,0.1\n", ["n_neighbors 5.5", "whole number"]),
            ("n_neighbors,min_dist\n70,0.1\n", ["n_neighbors 70", "knn.n_neighbors 50"]),
            ("n_neighbors,min_dist\n5,0.1\n5,0.1\n", ["twice"]),
            ("n_neighbors,mindist\n5,0.1\n", ["'mindist'", "nearest is 'min_dist'"]),
            ("n_neighbors\n5\n", ["lacks the column 'min_dist'"]),
            ("n_neighbors,min_dist\n", ["no rows"]),
            ("", ["cannot be read"]),
        ],
    )
    def test_unusable_table(self, config, tmp_path, text, said):
        with pytest.raises(InputError) as refused:
            self.cells(config, tmp_path, text)
        for part in said:
            assert part in str(refused.value)

    def test_missing_table(self, config):
        assert "'nowhere.csv' does not exist" in refusal(changed(config, "grid.table", "nowhere.csv"))


def test_offered_metrics_are_umaps():
    from umap.distances import named_distances

    offered = rules.schema()["$defs"]["metric"]["enum"]
    assert set(offered) <= set(named_distances)
    # What is left out takes arrays as keywords, or values that are not numbers.
    assert set(named_distances) - set(offered) == {
        "categorical",
        "count",
        "hierarchical_categorical",
        "ll_dirichlet",
        "mahalanobis",
        "myers",
        "ordinal",
        "seuclidean",
        "softmax_hellinger",
        "standardised_euclidean",
        "string",
        "weighted_minkowski",
        "wminkowski",
    }


def test_defaults_are_umaps():
    from umap import UMAP

    settings = configuration.complete(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")))
    umap = UMAP().get_params()
    for name, value in settings["umap"].items():
        assert value == ({} if umap[name] is None and name == "metric_kwds" else umap[name]), name


def test_what_is_made_from_the_schema_is_in_step_with_it():
    import make

    for path, text in make.files().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, f"{path}: run `make docs`"
    for section in rules.schema()["properties"]:
        assert f"## `{section}`" in make.page()


def test_the_default_configuration_adds_nothing_to_the_schema():
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    assert configuration.complete(config) == configuration.complete({})


def test_the_pinned_environment_has_what_a_report_needs():
    """Of `snakemake --report`, also where no other package asks for it, as the tests' own do."""
    import pin

    needed = {one.partition(";")[0].strip() for one in requires("snakemake") if 'extra == "reports"' in one}
    assert needed
    assert needed <= {name for name, *_ in pin.pinned(pin.REQUIREMENTS.read_text())}


def test_conda_environment_agrees_with_the_pins():
    """Which file a hash is of, the network knows; here each package has one of those that are pinned."""
    import pin

    text, requirements = pin.CONDA.read_text(), pin.REQUIREMENTS.read_text()
    hashes = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))
    installed = {(name, version): hashes for name, version, _, _ in pin.pinned(requirements)}
    assert pin.conda_environment(requirements, installed) == text, "run `make pins`"
    # Snakemake writes the whole of it into its record of each output, of which there may be ten thousand.
    assert len(text) < 30_000
    assert "://" not in text


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"grid": {"n_neighbors": ["7"]}}, [7]),
        ({"grid": {"n_neighbors": ["7", "15"], "min_dist": ["0.1", "1e-3"]}}, [7, 15]),
    ],
)
def test_numbers_of_the_command_line_arrive_as_numbers(section, expected):
    """Snakemake hands over what is within a value of `--config` as text."""
    assert configuration.complete(section, section, section)["grid"]["n_neighbors"] == expected
    with pytest.raises(InputError, match="YAML reads this as text"):
        configuration.complete(section, section)


def test_texts_of_the_command_line_stay_texts_where_text_is_asked_for():
    given = {"dataset": "mine", "datasets": {"mine": {"source": "openml", "name": "7", "version": "3"}}}
    given["claims"] = {"dataset": "mine"}
    one = configuration.complete(given, given, given)["datasets"]["mine"]
    assert (one["name"], one["version"]) == ("7", 3)
    given = {"grid": {"n_neighbors": ["seven"]}}
    with pytest.raises(InputError, match="'seven'; allowed is a whole number from 2"):
        configuration.complete(given, given, given)


@pytest.mark.parametrize(
    ("annotations", "drawn", "said"),
    [
        (["donor"], ["donor"], None),
        (["donor", {"path": "a.csv", "columns": ["leiden"]}], ["leiden"], None),
        ([{"path": "a.csv"}], ["any"], None),
        (["donor"], ["donr"], "nearest is 'donor'"),
        (None, ["donor"], "it has none"),
    ],
)
def test_annotations_that_are_drawn_must_be_there(annotations, drawn, said):
    one = {"source": "file", "path": "mine.csv"} | ({"annotations": annotations} if annotations else {})
    given = {"dataset": "mine", "datasets": {"mine": one}, "plot": {"annotations": drawn}}
    given["claims"] = {"dataset": "mine"}
    if said is None:
        assert configuration.complete(given)["plot"]["annotations"] == drawn
        return
    with pytest.raises(InputError, match=said):
        configuration.complete(given)


@pytest.mark.parametrize(
    ("color_by", "found"),
    [
        ("label", "label"),
        ("species", "label"),
        ("depth", "depth"),
        (None, None),
        ("dpth", "figure.color_by is 'dpth', which is no annotation of mine; known are depth, nearest is 'depth'."),
    ],
)
def test_what_colours_a_figure_is_there_or_refused_before_anything_runs(color_by, found):
    one = {"source": "file", "path": "mine.csv", "label": "species", "annotations": ["depth"]}
    given = {"dataset": "mine", "datasets": {"mine": one}, "figure": {"color_by": color_by}}
    given["claims"] = {"dataset": "mine"}
    if color_by != "dpth":
        assert configuration.complete(given)["figure"]["color_by"] == found
        return
    assert refusal(given) == found


TABLE = [(10, 5, 0.1, 1), (10, 5, 0.5, 1), (10, 9, 0.1, 1), (10, 9, 0.1, 2), (11, 9, 0.9, 3)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"n_neighbors": 5, "min_dist": 0.5}, 1),
        ({"n_neighbors": 9, "min_dist": 0.1, "seed": 2}, 3),
        ({"n_neighbors": 9, "min_dist": 0.9, "seed": 3, "knn_seed": 11}, 4),
        (None, "x.cell is missing, and the grid has 5 .*; name one, as in {n_neighbors: 5, min_dist: 0.1, seed: 1}."),
        ({"n_neighbors": 9, "min_dist": 0.1}, "and the grid has 2 such cells; say which, of seed 1, 2."),
        ({"n_neighbors": 7, "min_dist": 0.1}, "x.cell is n_neighbors 7, min_dist 0.1, .* it has n_neighbors 5, 9. "),
        ({"n_neighbors": 9, "min_dist": 0.2, "seed": 7}, "has min_dist 0.1, 0.5, 0.9; seed 1, 2, 3. Name one"),
        ({"n_neighbors": 9, "min_dist": 0.5}, "n_neighbors 9, min_dist 0.1; n_neighbors 9, min_dist 0.9. Name one"),
    ],
)
def test_a_cell_that_is_named_is_one_of_the_grid(config, asked, found):
    cells = grid.cells(configuration.complete(config)).head(len(TABLE))
    for place, name in enumerate(["knn_seed", "n_neighbors", "min_dist", "seed"]):
        cells[name] = [row[place] for row in TABLE]
    if isinstance(found, int):
        assert named_cell(cells, asked, "x.cell").index.tolist() == [found]
        assert len(named_cell(cells.head(1), None, "x.cell")) == 1
        return
    with pytest.raises(InputError, match=found):
        named_cell(cells, asked, "x.cell")


def test_nested_values_on_the_command_line(tmp_path):
    grid = "grid={n_neighbors: [7], min_dist: [0.1, 0.25], seed: [3]}"
    run = snakemake(tmp_path, "--dry-run", "--config", "dataset=digits", grid, "umap={n_epochs: 20}")
    assert run.code == 0, run.output
    assert (run.laid_out, run.jobs["graph"]) == (2, 1)


def test_a_typed_table_of_cells_stands_in_place_of_the_lists_of_a_file(tmp_path):
    (tmp_path / "cells.csv").write_text("n_neighbors,min_dist\n5,0.1\n7,0.2\n9,0.3\n")
    mine = {"grid": {"n_neighbors": [5, 7], "min_dist": [0.1], "seed": [3]}}
    run = snakemake(tmp_path, "--dry-run", "--config", "grid={table: cells.csv}", config=mine)
    assert run.code == 0, run.output
    assert (run.laid_out, run.jobs["graph"]) == (3, 3)


PREPARATIONS = {
    "pca5": ["log1p", {"scale": "standard"}, {"pca": 5}],
    "pca9": ["log1p", {"scale": "standard"}, {"pca": 9}],
}


def prepared(config: dict, names: object, **also: object) -> dict:
    """Return a configuration with a grid of preparations."""
    return config | {"preparation": PREPARATIONS, "grid": config["grid"] | {"preparation": names}} | also


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("normalise_total", "preparation.mine.0 is 'normalise_total'; .* nearest is 'normalize_total'."),
        ({"PCA": 10}, "preparation.mine.0 is {'PCA': 10}; .* nearest is 'pca'."),
        ("pca", "preparation.mine.0 is 'pca', which needs a value; allowed is {pca: a whole number from 1}."),
        ({"pca": 0.9}, "preparation.mine.0.pca is 0.9; allowed is a whole number from 1."),
        ({"scale": "robusst"}, "preparation.mine.0.scale is 'robusst'; .* nearest is 'robust'."),
        ({"scale": {"clip": 10}}, "preparation.mine.0.scale.by is missing; add it."),
        ({"variable": {"columns": 5, "by": "var"}}, "preparation.mine.0.variable.by is 'var'; allowed is one of .*."),
        (
            {"scale": "standard", "pca": 5},
            "preparation.mine.0 has scale and pca in one; give each by itself, as in {scale: …}, {pca: …}.",
        ),
    ],
)
def test_of_a_wrong_step_it_is_said_what_is_wrong_with_it(config, step, said):
    """And not what all other steps may be."""
    assert re.fullmatch(said, refusal(config | {"preparation": {"mine": [step]}}))


def test_a_list_without_values_wants_one_and_steps_may_come_twice(config):
    message = refusal(config | {"preparation": {"mine": []}})
    assert message.startswith("preparation.mine is []; allowed is a list of values, each one of normalize_total, log1p")
    assert message.endswith(". Give one at least.")


class TestPreparations:
    """The axis of preparations, and what its cells are measured against."""

    def test_they_are_a_further_axis_in_front_of_all_others(self, config):
        settings = configuration.complete(prepared(config, ["pca9", "pca5"]))
        cells = grid.cells(settings)
        assert list(cells.columns)[:2] == ["preparation", "metric"]
        assert cells["preparation"].value_counts().to_dict() == {"pca9": 16, "pca5": 16}
        one = grid.cells(configuration.complete(prepared(config, "pca5")))
        assert set(one["preparation"]) == {"pca5"}

    def test_a_table_of_cells_may_name_them(self, config, tmp_path):
        table = tmp_path / "cells.csv"
        table.write_text("n_neighbors,min_dist,preparation\n5,0.1,pca9\n15,0.1,pca5\n")
        cells = grid.cells(
            configuration.complete(
                prepared(config, ["pca5", "pca9"])
                | {"grid": {"table": str(table), "seed": [1], "preparation": ["pca5", "pca9"]}}
            )
        )
        assert cells[["preparation", "n_neighbors"]].to_numpy().tolist() == [["pca9", 5], ["pca5", 15]]
        for names, said in ((["pca5"], "has preparation 'pca9'; grid.preparation has pca5"), (None, "list there what")):
            written = {"table": str(table), "seed": [1]} | ({"preparation": names} if names else {})
            with pytest.raises(InputError, match=said):
                grid.cells(configuration.complete(prepared(config, "pca5") | {"grid": written}))

    @pytest.mark.parametrize(
        ("names", "given", "expected"),
        [
            (["pca5", "pca9"], {}, "common"),
            (["pca5"], {}, "pca5"),
            (["pca5", "pca9"], {"reference": "pca9"}, "pca9"),
            (["pca5", "pca9"], {"reference": "data"}, "data"),
        ],
    )
    def test_what_cells_are_measured_against(self, config, names, given, expected):
        assert configuration.complete(prepared(config, names, metrics=given))["metrics"]["reference"] == expected

    def test_without_a_step_in_common_it_is_the_data(self, config):
        apart = {"one": ["log1p"], "two": [{"pca": 2}]}
        settings = configuration.complete(prepared(config, ["one", "two"], preparation=apart))
        assert settings["metrics"]["reference"] == "data"

    @pytest.mark.parametrize(
        ("names", "also", "said"),
        [
            ("pca6", {}, "grid.preparation has 'pca6', which is not under preparation; known are pca5, pca9, nearest"),
            (
                "pca5",
                {"preparation": {}},
                "grid.preparation has 'pca5', which is not under preparation; there is none.",
            ),
            ("pca5", {"metrics": {"reference": "pca9"}}, "allowed is one of common, data, pca5"),
            ("pca5", {"preparation": {"common": ["log1p"]}}, "preparation has the name common"),
            (
                "pca5",
                {"preparation": {"pca5": [{"pca": 0}]}},
                "preparation.pca5.0.pca is 0; allowed is a whole number from 1.",
            ),
            (
                "pca5",
                {"preparation": {"pca5": ["log"]}},
                "preparation.pca5.0 is 'log'; allowed is one of normalize_total",
            ),
            ("pca5", {"preparation": {"pca5": []}}, "preparation.pca5 is []; allowed is"),
            ("pca5", {"knn": {"method": "imported", "path": "knn.npz"}}, "remove one of the two"),
        ],
    )
    def test_what_means_nothing_is_refused(self, config, names, also, said):
        assert said in refusal(prepared(config, names, **also))

    @pytest.mark.parametrize(
        ("step", "nearest"),
        [("log1pp", "log1p"), ({"pcaa": 50}, "pca"), ({"log1pp": {}}, "log1p"), ({"pca": 0}, None), ("zzz", None)],
    )
    def test_a_misspelt_step_is_told_the_nearest(self, config, step, nearest):
        said = refusal(prepared(config, "pca5", preparation={"pca5": [step]}))
        assert said.endswith(f", nearest is '{nearest}'.") if nearest else "nearest" not in said

    def test_a_reference_without_preparations_is_refused(self, config):
        assert "without grid.preparation" in refusal(config | {"metrics": {"reference": "data"}})


def with_axes(config: dict, axes: dict, umap: dict) -> dict:
    """Return a configuration whose grid has parameters of UMAP as axes."""
    return config | {"grid": config["grid"] | axes, "umap": umap}


class TestParametersOfUmapAsAxes:
    """`grid.target_weight` and `grid.dens_lambda`."""

    BOTH: ClassVar = {"target": "label", "densmap": True}

    def test_they_stand_where_what_depends_on_them_begins(self, config):
        axes = {"dens_lambda": [0, 2], "target_weight": 0.2}
        settings = configuration.complete(with_axes(config, axes, self.BOTH))
        cells = grid.cells(settings)
        assert list(cells.columns)[-5:] == ["n_neighbors", "target_weight", "dens_lambda", "min_dist", "seed"]
        assert cells["dens_lambda"].value_counts().to_dict() == {0.0: 16, 2.0: 16}
        assert {str(value) for value in cells["dens_lambda"].tolist()} == {"0.0", "2.0"}
        assert not {"dens_lambda", "target_weight"} & set(settings["umap"])

    def test_a_key_has_the_value_of_its_cell_and_says_that_it_is_an_axis(self, config):
        settings = configuration.complete(with_axes(config, {"dens_lambda": [0, 2]}, {"densmap": True}))
        key = cell_key(grid.cells(settings).to_dict("records")[-1], settings)
        assert (key["dens_lambda"], key["swept"], optional_axes(key)) == (2.0, ["dens_lambda"], ["dens_lambda"])
        assert line_of(key) == ("dens_lambda 2", 50)
        assert short_name(line_of(key)) == "2 · 50"

    def test_one_value_for_all_cells_is_no_axis(self, config):
        settings = configuration.complete(config | {"umap": {"densmap": True, "dens_lambda": 2.0}})
        key = cell_key(grid.cells(settings).to_dict("records")[0], settings)
        assert key["dens_lambda"] == 2.0
        assert "swept" not in key and optional_axes(key) == [] and list(key_columns(key)) == list(KEY_COLUMNS)

    def test_a_table_and_a_cell_may_name_them(self, config, tmp_path):
        table = tmp_path / "cells.csv"
        table.write_text("n_neighbors,min_dist,dens_lambda\n5,0.1,0\n5,0.1,2\n")
        written = {"table": str(table), "seed": [1], "dens_lambda": [0, 2]}
        cells = grid.cells(configuration.complete(config | {"grid": written, "umap": {"densmap": True}}))
        assert cells["dens_lambda"].tolist() == [0.0, 2.0]
        asked = {"n_neighbors": 5, "min_dist": 0.1}
        assert named_cell(cells, asked | {"dens_lambda": 2}, "x.cell").index.tolist() == [1]
        with pytest.raises(InputError, match=r"2 such cells; say which, of dens_lambda 0\.0, 2\.0"):
            named_cell(cells, asked, "x.cell")

    @pytest.mark.parametrize(
        ("axes", "umap", "said"),
        [
            (
                {"dens_lambda": [0, 2]},
                {"densmap": True, "dens_lambda": 2.0},
                "grid has dens_lambda, and umap.dens_lambda is 2.0; give one",
            ),
            ({"dens_lambda": [0]}, {}, "grid.dens_lambda is [0], which means nothing without umap.densmap; set it to"),
            ({"target_weight": 0.2}, {}, "grid.target_weight is 0.2, which means nothing without umap.target; name a"),
            ({"target_weight": [0.2, 2]}, {"target": "label"}, "grid.target_weight"),
        ],
    )
    def test_wrong_combinations(self, config, axes, umap, said):
        assert said in refusal(with_axes(config, axes, umap))

    def test_a_path_has_a_value_of_the_grid(self, config):
        settings = configuration.complete(with_axes(config, {"dens_lambda": [0, 2]}, {"densmap": True}))
        grid.check_path({"dens_lambda": "2.0"}, settings)
        for written in ("2", "3.0"):
            with pytest.raises(InputError, match=rf"has dens_lambda {re.escape(written)}; known are 0\.0, 2\.0"):
                grid.check_path({"dens_lambda": written}, settings)
