"""Several files are one table: rows file after file, columns by name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import snakemake

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.settings import configuration
from umap_sweep.sources import fetch, rows

FIRST = pd.DataFrame({"cell": ["a", "b", "c"], "x": [1, 2, 3], "y": [0.5, -1.0, 2.0], "kind": ["u", "v", None]})
SECOND = pd.DataFrame({"kind": ["v", "w"], "y": [4.0, 5.0], "cell": ["d", "e"], "x": [0.25, 5.0]})
BOTH = pd.concat([FIRST, SECOND], ignore_index=True)


def write(frame: pd.DataFrame, path: Path) -> str:
    """Write a table in the format of the path's name."""
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix in (".arrow", ".feather"):
        table = pa.Table.from_pandas(frame, preserve_index=False)
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    else:
        frame.to_csv(path, index=False)
    return str(path)


def stored(folder: Path, path: object, **source: object) -> tuple[pa.Table, pa.Table]:
    """Return features and rows of a data set, as they are stored."""
    whole = {"source": "file", "path": path, **source}
    data, described = folder / "data.parquet", folder / "rows.parquet"
    fetch.compute("mine", whole, path, folder, data)
    rows.compute("mine", whole, path, data, described)
    return store.read(data), store.read(described)


def values(features: pa.Table) -> np.ndarray:
    return np.array(features.column("features").to_pylist())


@pytest.mark.parametrize(
    ("end", "other"), [("csv", "csv"), ("parquet", "parquet"), ("arrow", "arrow"), ("feather", "arrow")]
)
def test_several_files_are_one_table(tmp_path, end, other):
    """Also of Arrow under two of its names."""
    paths = [write(FIRST, tmp_path / f"1.{end}"), write(SECOND, tmp_path / f"2.{other}")]
    features, described = stored(tmp_path, paths, id="cell", label="kind", annotations=["file"])
    np.testing.assert_array_equal(values(features), BOTH[["x", "y"]])
    assert described.column("id").to_pylist() == BOTH.cell.tolist()
    assert described.column("label").to_pylist() == ["u", "v", None, "v", "w"]
    assert described.column("file").to_pylist() == [f"1.{end}"] * 3 + [f"2.{other}"] * 2
    whole = stored(tmp_path, write(BOTH, tmp_path / f"both.{end}"), id="cell", label="kind")
    assert whole[0].equals(features)
    assert whole[1].equals(described.drop_columns("file"))
    assert store.read_record(tmp_path / "data.parquet")["feature_names"] == ["x", "y"]


def test_the_file_alone_may_describe_rows(tmp_path):
    for name, start in (("one", 0), ("two", 3)):
        (tmp_path / name).mkdir()
        pd.DataFrame({"x": np.arange(start, start + 3)}).to_csv(tmp_path / name / "part.csv", index=False)
    paths = [str(tmp_path / name / "part.csv") for name in ("two", "one")]
    features, described = stored(tmp_path, paths, label="file")
    assert values(features).ravel().tolist() == [3, 4, 5, 0, 1, 2]
    assert described.column("id").to_pylist() == [0, 1, 2, 3, 4, 5]
    assert described.column("label").to_pylist() == [paths[0]] * 3 + [paths[1]] * 3


def test_missing_values_have_the_median_of_all_files(tmp_path):
    gap = FIRST.assign(y=[0.5, None, 2.0])
    paths = [write(gap, tmp_path / "1.csv"), write(SECOND, tmp_path / "2.csv")]
    features, _ = stored(tmp_path, paths, id="cell", label="kind", missing="median")
    assert values(features)[1, 1] == np.median([0.5, 2.0, 4.0, 5.0])
    features, described = stored(tmp_path, paths, id="cell", label="kind", missing="drop")
    assert described.column("id").to_pylist() == ["a", "c", "d", "e"]


def test_labels_are_numbers_only_where_they_are_in_all_files(tmp_path):
    paths = [
        write(FIRST.assign(kind=[1, 2, 1]), tmp_path / "1.csv"),
        write(SECOND.assign(kind=["x", 2]), tmp_path / "2.csv"),
    ]
    assert stored(tmp_path, paths, id="cell", label="kind")[1].column("label").to_pylist() == ["1", "2", "1", "x", "2"]


@pytest.mark.parametrize(
    ("second", "source", "said"),
    [
        (
            ("2.csv", SECOND.drop(columns="x").assign(z=1)),
            {},
            "2.csv has other columns than .*1.csv: it lacks 'x' and has 'z'",
        ),
        (("2.csv", SECOND.assign(cell=["a", "e"])), {}, "occurs|twice|unique"),
        (("2.parquet", SECOND), {}, "1.csv and .*2.parquet are of several formats"),
        (("2.csv", SECOND.assign(x=["p", 2])), {}, "not numeric: 'x' .*'p' in line 2 of .*2.csv"),
        (("2.csv", SECOND.assign(y=[4.0, None])), {}, "missing"),
        (("2.csv", SECOND), {"sha256": "0" * 64}, "`sha256` is of one file, and `path` names 2"),
    ],
)
def test_files_that_are_not_one_table(tmp_path, second, source, said):
    paths = [write(FIRST, tmp_path / "1.csv"), write(second[1], tmp_path / second[0])]
    with pytest.raises(InputError, match=said):
        stored(tmp_path, paths, id="cell", label="kind", **source)


def test_a_column_of_two_types(tmp_path):
    paths = [write(FIRST, tmp_path / "1.parquet"), write(SECOND.assign(kind=[1, 2]), tmp_path / "2.parquet")]
    with pytest.raises(InputError, match=r"'kind' is string in .*1.parquet and int64 in .*2.parquet"):
        stored(tmp_path, paths, id="cell", label="kind")


def test_a_pattern_is_its_files_in_the_order_of_their_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_text("x\n1\n")

    def path(given: object) -> object:
        config = {
            "dataset": "mine",
            "datasets": {"mine": {"source": "file", "path": given}},
            "claims": {"dataset": "mine"},
        }
        settings = configuration.complete(config)
        configuration.check_sources(settings)
        return settings["datasets"]["mine"]["path"]

    assert path("*.csv") == ["a.csv", "b.csv"]
    assert path(["c.txt", "[b-z].csv"]) == ["c.txt", "b.csv"]
    assert path("a*") == "a.csv"
    with pytest.raises(InputError, match=r"path is '\*.tsv', which no file fits"):
        path("*.tsv")
    with pytest.raises(InputError, match=r"path is \[\]; allowed is"):
        path([])
    for twice in (["*.csv", "a.csv"], ["a.csv", "./a.csv"]):
        with pytest.raises(InputError, match=r"datasets.mine.path names the file a.csv twice, .* name it once"):
            path(twice)


def test_an_archive_on_disk_is_to_be_unpacked(tmp_path):
    with pytest.raises(InputError, match=r"tables.zip is an archive. Unpack it, and give the files in it as `path`"):
        stored(tmp_path, str(tmp_path / "tables.zip"))


def test_a_sweep_sees_that_a_file_is_added(tmp_path):
    config = {"dataset": "mine", "datasets": {"mine": {"source": "file", "path": "part-*.csv", "label": "file"}}}
    random = np.random.RandomState(0)
    data = "results/mine/rows.parquet"
    for number in (1, 2):
        pd.DataFrame(random.normal(size=(20, 3)), columns=list("xyz")).to_csv(
            tmp_path / f"part-{number}.csv", index=False
        )
        if number == 1:
            (tmp_path / "part-0.csv").write_text("x,y,z\n1,2,3\n")
        run = snakemake(tmp_path, data, config=config)
        assert run.code == 0, run.output
        assert run.jobs.keys() >= {"fetch", "rows"}
    labels = store.read(tmp_path / data).column("label").to_pylist()
    assert labels == ["part-0.csv"] + ["part-1.csv"] * 20 + ["part-2.csv"] * 20
    run = snakemake(tmp_path, data, config=config)
    assert "Nothing to be done" in run.output
