"""A wrong configuration is one sentence with the key, the value and what is allowed; a right one becomes cells."""

import copy

import pytest
import yaml
from conftest import ROOT, snakemake

from umap_sweep.cells import grid
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
        ("umap.densmap", True, ["'densmap'"]),
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
    with pytest.raises(InputError, match="both a table and n_neighbors"):
        configuration.complete(config, given)


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


def test_conda_environment_agrees_with_the_pins():
    import pin

    assert pin.conda_environment(pin.REQUIREMENTS.read_text()) == pin.CONDA.read_text(), "run `make pins`"


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"grid": {"n_neighbors": ["7"]}}, [7]),
        ({"grid": {"n_neighbors": ["7", "15"], "min_dist": ["0.1", "1e-3"]}}, [7, 15]),
    ],
)
def test_numbers_of_the_command_line_arrive_as_numbers(section, expected):
    """Snakemake hands over what is within a value of `--config` as text."""
    assert configuration.complete(section, section, ["grid"])["grid"]["n_neighbors"] == expected
    with pytest.raises(InputError, match="YAML reads this as text"):
        configuration.complete(section, section)


def test_texts_of_the_command_line_stay_texts_where_text_is_asked_for():
    given = {"dataset": "mine", "datasets": {"mine": {"source": "openml", "name": "7", "version": "3"}}}
    given["claims"] = {"dataset": "mine"}
    one = configuration.complete(given, given, list(given))["datasets"]["mine"]
    assert (one["name"], one["version"]) == ("7", 3)
    given = {"grid": {"n_neighbors": ["seven"]}}
    with pytest.raises(InputError, match="'seven'; allowed is a whole number from 2"):
        configuration.complete(given, given, list(given))


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


def test_nested_values_on_the_command_line(tmp_path):
    grid = "grid={n_neighbors: [7], min_dist: [0.1, 0.25], seed: [3]}"
    run = snakemake(tmp_path, "--dry-run", "--config", "dataset=digits", grid, "umap={n_epochs: 20}")
    assert run.code == 0, run.output
    assert (run.laid_out, run.jobs["graph"]) == (2, 1)
