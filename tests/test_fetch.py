"""The fetch stage: what each source gives, and that bad input of every kind is refused with a reason."""

import functools
import gzip
import hashlib
import http.server
import io
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sklearn.datasets
from conftest import ROOT
from pyarrow import feather

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.sources import data_table, fetch, rows

SCRIPT = ROOT / "scripts/fetch.py"


def matrix(table: pa.Table) -> np.ndarray:
    """Return the features of a table, shape (n, d)."""
    kind = table.schema.field("features").type
    assert pa.types.is_fixed_size_list(kind)
    assert kind.value_type == pa.float32()
    return table.column("features").combine_chunks().flatten().to_numpy().reshape(-1, kind.list_size)


def stored(source: dict, path: Path | None, download: Path, folder: Path) -> tuple[pa.Table, list[str]]:
    """Return what the two stages store of a source, in one table, and the names of the features."""
    data, described = folder / "stored" / "data.parquet", folder / "stored" / "rows.parquet"
    fetch.compute("test", source, path, download, data)
    rows.compute("test", source, path, data, described, download)
    table = store.read(described).append_column("features", store.read(data).column("features"))
    return table, store.read_record(data)["feature_names"]


def read(path: Path, **source: object) -> tuple[pa.Table, list[str]]:
    return stored({"source": "file", "path": str(path), **source}, path, path.parent / "download", path.parent)


def refusal(call: functools.partial) -> str:
    """Return the message of an `InputError` that a call must end in: one line, made of sentences."""
    with pytest.raises(InputError) as raised:
        call()
    message = str(raised.value)
    assert re.fullmatch(r".+[.?]", message)
    return message


def refused(path: Path, **source: object) -> str:
    return refusal(functools.partial(read, path, **source))


def text_file(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


# Data sets that come with scikit-learn, and the tutorial's


@pytest.mark.parametrize("name", ["breast_cancer", "diabetes", "digits", "iris", "wine"])
def test_sklearn_features_are_the_loaders_own(name, tmp_path):
    expected = getattr(sklearn.datasets, f"load_{name}")()
    table, names = stored({"source": "sklearn", "name": name}, None, tmp_path, tmp_path)
    np.testing.assert_array_equal(matrix(table), expected.data.astype(np.float32))
    assert table.column("id").to_pylist() == list(range(len(expected.data)))
    assert names == list(expected.feature_names)


@pytest.mark.parametrize(
    ("name", "kind", "first", "distinct"),
    [
        ("breast_cancer", pa.string(), "malignant", 2),
        ("iris", pa.string(), "setosa", 3),
        ("wine", pa.string(), "class_0", 3),
        ("digits", pa.int64(), 0, 10),
        ("diabetes", pa.float64(), 151.0, 214),
    ],
)
def test_sklearn_label_is_the_class_name_or_the_target(name, kind, first, distinct):
    label = fetch.sklearn_data(name).label
    assert (label.type, label[0].as_py(), len(label.unique())) == (kind, first, distinct)


def test_tutorial_blobs_are_the_tutorials_bit_for_bit(tmp_path):
    np.random.seed(42)
    y = np.random.rand(1700, 60)
    expected = np.concatenate((y + 20, y, y - 20)).astype(np.float32)
    table, names = stored({"source": "tutorial_blobs"}, None, tmp_path, tmp_path)
    assert matrix(table).tobytes() == expected.tobytes()
    assert table.column("label").to_pylist() == [1] * 1700 + [2] * 1700 + [3] * 1700
    assert len(names) == 60


def test_tutorial_blobs_take_seed_rows_and_dimensions(tmp_path):
    source = {"source": "tutorial_blobs", "seed": 7, "rows": 5, "dimensions": 3}
    table, names = stored(source, None, tmp_path, tmp_path)
    np.testing.assert_array_equal(matrix(table)[5:10], np.random.RandomState(7).rand(5, 3).astype(np.float32))
    assert (table.num_rows, names) == (15, ["0", "1", "2"])


# OpenML


class Refusing(urllib.request.BaseHandler):
    """Stands for a server that answers every request with one status."""

    handler_order = 1  # before urllib's own

    def __init__(self, status: int):
        self.status = status

    def https_open(self, request: urllib.request.Request) -> None:
        raise urllib.error.HTTPError(request.full_url, self.status, "Refused", {}, io.BytesIO())


@pytest.fixture
def closed_port():
    """Give a port of this machine that nothing listens on while the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def opener():
    """Put an opener in the way of everything that urllib fetches."""
    yield lambda *handlers: urllib.request.install_opener(urllib.request.build_opener(*handlers))
    urllib.request.install_opener(None)


def keep_openml_data(
    folder: Path, name: str, version: int, columns: dict[str, str], target: str, rows: list[str]
) -> None:
    """Write a data set as scikit-learn keeps it after a download."""
    data = "\n".join(
        ["@relation toy", *(f"@attribute {name} {kind}" for name, kind in columns.items()), "@data", *rows]
    )
    flags = dict.fromkeys(("is_ignore", "is_row_identifier"), "false") | {"number_of_missing_values": "0"}
    features = [
        {
            "index": str(index),
            "name": column,
            "data_type": "nominal" if kind.startswith("{") else "numeric",
            "is_target": str(column == target).lower(),
            **flags,
        }
        for index, (column, kind) in enumerate(columns.items())
    ]
    description = {
        "id": "9",
        "name": name,
        "version": str(version),
        "format": "ARFF",
        "status": "active",
        "description": "A toy.",
        "url": "https://openml.invalid/data/v1/download/9/toy.arff",
        "md5_checksum": hashlib.md5(data.encode()).hexdigest(),
    }
    api = "api/v1/json/data"
    kept = {
        f"{api}/list/data_name/{name}/limit/2/data_version/{version}": {"data": {"dataset": [{"did": 9}]}},
        f"{api}/9": {"data_set_description": description},
        f"{api}/features/9": {"data_features": {"feature": features}},
        f"{api}/qualities/9": {"data_qualities": {"quality": []}},
    }
    answers = {path: json.dumps(content) for path, content in kept.items()} | {"data/v1/download/9/toy.arff": data}
    for path, content in answers.items():
        file = folder / "openml" / "openml.org" / f"{path}.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(content.encode()))


def test_openml_data_kept_from_before_needs_no_network(tmp_path, opener):
    opener(Refusing(500))
    columns = {"width": "real", "height": "integer", "kind": "{red, blue}"}
    keep_openml_data(tmp_path, "toy", 3, columns, "kind", ["0.1,2,red", "0.5,3,blue", "1e-3,4,red"])
    table, names = stored({"source": "openml", "name": "toy", "version": 3}, None, tmp_path, tmp_path)
    np.testing.assert_array_equal(matrix(table), np.array([[0.1, 2], [0.5, 3], [1e-3, 4]], dtype=np.float32))
    assert table.column("label").to_pylist() == ["red", "blue", "red"]
    assert names == ["width", "height"]


@pytest.mark.filterwarnings("ignore:A network error occurred")
def test_openml_without_a_network_says_so_within_seconds(tmp_path, opener, closed_port):
    opener(urllib.request.ProxyHandler({"https": f"http://127.0.0.1:{closed_port}"}))
    started = time.monotonic()
    message = refusal(functools.partial(fetch.openml_data, "mnist_784", 1, tmp_path))
    assert time.monotonic() - started < 10
    assert "'mnist_784', version 1" in message
    assert "Check the connection" in message


def test_openml_data_that_does_not_exist(tmp_path, opener):
    opener(Refusing(412))  # OpenML's answer to an unknown name
    message = refusal(functools.partial(fetch.openml_data, "nothing", 7, tmp_path))
    assert "Dataset nothing with version 7 not found" in message
    assert "Mend `name` and `version`" in message


def test_frame_keeps_numbers_and_decodes_categories():
    frame = pd.DataFrame({"whole": [1, 2, 3], "yes": [True, False, True], "half": [0.5, 1.5, 2.5]})
    target = pd.Series(["b", None, "a"], dtype="category")
    features = data_table.frame_features(frame, target, "The frame")
    np.testing.assert_array_equal(matrix(features.table()), frame.to_numpy(dtype=np.float32))
    assert (features.label.type, features.label.to_pylist()) == (pa.string(), ["b", None, "a"])
    assert features.names == ["whole", "yes", "half"]


def test_a_frame_is_not_read_value_by_value():
    """In a process of its own, where PyArrow has met no data frame yet; MNIST would take minutes otherwise."""
    code = "import pandas; from umap_sweep.sources import fetch; "
    code += "frame = pandas.DataFrame({'a': pandas.Categorical(['x', 'y'])}); "
    code += "print(fetch.data_table.frame_columns(frame).schema.field('a').type)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "dictionary" in run.stdout


def test_frame_without_target_has_no_label():
    assert data_table.frame_features(pd.DataFrame({"a": [1.0]}), None, "The frame").label is None


@pytest.mark.parametrize(
    ("frame", "target", "expected"),
    [
        ({"a": [1, 2], "colour": ["r", "g"], "size": pd.Categorical(["S", "L"])}, None, "'colour' ('r'), 'size' ('S')"),
        ({"a": [1.0, np.nan], "b": [1.0, 2.0]}, None, "1 row with a value that is missing"),
        ({"a": pd.array([1, None], dtype="Int64")}, None, "in the columns 'a'"),
        ({"a": [1, 2]}, pd.DataFrame({"t1": [1, 2], "t2": [3, 4]}), "2 targets ('t1', 't2')"),
        ({"a": []}, None, "has no rows"),
    ],
)
def test_frame_that_cannot_be_used(frame, target, expected):
    message = refusal(functools.partial(data_table.frame_features, pd.DataFrame(frame), target, "The frame"))
    assert message.startswith("The frame ")
    assert expected in message


# URL


CSV = b"a,b,kind\n1,2,x\n3,4.5,y\n"
MORE_CSV = CSV + b"5,6,z\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers `/ok/…` whole, `/more/…` with a row more, `/short/…` cut off once, `/silent/…` never.

    `/stalls/…` stops in the middle and keeps the connection, `/long/…` sends more than it announces, `/unsized/…`
    announces nothing, `/packed/…` has what the test packed, and `/to/PLACE/…` redirects.
    """

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        manner = self.path.split("/")[1]
        if manner == "gone":
            self.send_error(404)
            return
        if manner == "silent":
            self.server.closing.wait(10)
            return
        if manner == "to":
            place = self.path.split("/")[2]
            self.send_response(302)
            self.send_header("Location", self.server.places[place])
            self.end_headers()
            return
        if manner == "stalls":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CSV)))
            self.end_headers()
            self.wfile.write(CSV[:10])
            self.wfile.flush()
            self.server.closing.wait(10)
            return
        content = {"more": MORE_CSV, "packed": self.server.packed}.get(manner, CSV)
        self.send_response(200)
        if manner != "unsized":
            self.send_header("Content-Length", str(len(content) - (5 if manner == "long" else 0)))
        self.end_headers()
        first = self.server.requests.count(self.path) == 1
        self.wfile.write(content[:10] if manner == "short" and first else content)

    def log_message(self, *args: object) -> None:
        """Keep the terminal quiet."""


@pytest.fixture
def server(monkeypatch):
    """Run a server on this machine that knows its address and which paths it was asked for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests, running.closing, running.places, running.packed = [], threading.Event(), {}, b""
        running.address = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield running
        running.closing.set()
        running.shutdown()


def from_url(url: str, folder: Path, content: bytes = CSV, **source: object) -> tuple[pa.Table, list[str]]:
    sha256 = hashlib.sha256(content).hexdigest()
    source = {"source": "url", "url": url, "sha256": sha256, "label": "kind", **source}
    with TemporaryDirectory() as elsewhere:
        return stored(source, None, folder, Path(elsewhere))


def test_url_is_downloaded_once_and_read_as_a_file(server, tmp_path):
    url = f"{server.address}/ok/data.csv?download=1"
    first, names = from_url(url, tmp_path)
    np.testing.assert_array_equal(matrix(first), [[1, 2], [3, 4.5]])
    assert (first.column("label").to_pylist(), names) == (["x", "y"], ["a", "b"])
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [CSV]
    assert from_url(url, tmp_path)[0].equals(first)
    assert len(server.requests) == 1


def test_urls_whose_files_have_one_name_are_both_kept(server, tmp_path):
    for _ in range(2):
        assert from_url(f"{server.address}/ok/data.csv", tmp_path)[0].num_rows == 2
        assert from_url(f"{server.address}/more/data.csv", tmp_path, content=MORE_CSV)[0].num_rows == 3
    assert server.requests == ["/ok/data.csv", "/more/data.csv"]


def test_url_whose_kept_file_was_damaged_is_downloaded_again(server, tmp_path):
    from_url(f"{server.address}/ok/data.csv", tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(CSV[:-4])
    assert from_url(f"{server.address}/ok/data.csv", tmp_path)[0].num_rows == 2
    assert (kept.read_bytes(), len(server.requests)) == (CSV, 2)


def test_url_that_broke_off_leaves_nothing_and_can_be_tried_again(server, tmp_path):
    url = f"{server.address}/short/data.csv"
    message = refusal(functools.partial(from_url, url, tmp_path))
    assert f"{url} could not be downloaded whole" in message
    assert "run again" in message
    assert list(tmp_path.iterdir()) == []
    assert from_url(url, tmp_path)[0].num_rows == 2


def test_url_that_stalls_leaves_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", 0.2)
    message = refusal(functools.partial(from_url, f"{server.address}/stalls/data.csv", tmp_path))
    assert "could not be downloaded whole" in message
    assert "timed out" in message
    assert list(tmp_path.iterdir()) == []


def test_url_of_another_length_than_is_announced(server, tmp_path):
    """What is announced short is cut there, and no cut file has the SHA-256; without a length the SHA-256 decides."""
    message = refusal(functools.partial(from_url, f"{server.address}/long/data.csv", tmp_path))
    assert "has the SHA-256" in message
    assert list(tmp_path.iterdir()) == []
    assert from_url(f"{server.address}/unsized/data.csv", tmp_path)[0].num_rows == 2


def test_url_that_leads_elsewhere(server, tmp_path):
    """To another place over HTTP, whose file has the SHA-256 too; never to a file of this machine."""
    kept, secret = tmp_path / "kept", tmp_path / "data.csv"
    secret.write_bytes(CSV)
    server.places = {"ok": f"{server.address}/ok/data.csv", "file": secret.as_uri(), "round": "/to/round/data.csv"}
    assert from_url(f"{server.address}/to/ok/data.csv", kept)[0].num_rows == 2
    for place in ("file", "round"):
        for path in kept.iterdir():
            path.unlink()
        message = refusal(functools.partial(from_url, f"{server.address}/to/{place}/data.csv", kept))
        assert f"{server.address}/to/{place}/data.csv could not be downloaded whole" in message
        assert list(kept.iterdir()) == []


def test_url_with_another_sha256_names_both_and_keeps_nothing(server, tmp_path):
    url = f"{server.address}/ok/data.csv"
    message = refusal(functools.partial(from_url, url, tmp_path, content=b"other"))
    for part in (url, hashlib.sha256(CSV).hexdigest(), hashlib.sha256(b"other").hexdigest(), "set `sha256`"):
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_url_that_is_gone(server, tmp_path):
    message = refusal(functools.partial(from_url, f"{server.address}/gone/data.csv", tmp_path))
    assert f"{server.address}/gone/data.csv could not be downloaded: the server answers '404 Not Found'" in message


def test_url_of_a_server_that_says_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", 0.2)
    started = time.monotonic()
    message = refusal(functools.partial(from_url, f"{server.address}/silent/data.csv", tmp_path))
    assert time.monotonic() - started < 5
    assert "timed out" in message


def test_url_without_a_server(tmp_path, closed_port, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    message = refusal(functools.partial(from_url, f"http://127.0.0.1:{closed_port}/data.csv", tmp_path))
    assert "Check `url` and the connection" in message


def test_url_of_an_unknown_format_is_not_downloaded(server, tmp_path):
    message = refusal(functools.partial(from_url, f"{server.address}/ok/data.xlsx", tmp_path))
    assert f"{server.address}/ok/data.xlsx ends in none of the formats" in message
    assert server.requests == []


def packed(files: dict[str | zipfile.ZipInfo, bytes]) -> bytes:
    """Return a zip archive of files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def linked(name: str) -> zipfile.ZipInfo:
    """Return the entry of a symbolic link, as Info-ZIP writes it."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


def of_archive(server, folder: Path, files: dict[str | zipfile.ZipInfo, bytes], **source: object) -> pa.Table:
    server.packed = packed(files)
    return from_url(f"{server.address}/packed/data.zip", folder, server.packed, **source)[0]


def test_a_packed_file_is_downloaded(server, tmp_path):
    server.packed = gzip.compress(CSV)
    table, _ = from_url(f"{server.address}/packed/data.csv.gz", tmp_path, server.packed)
    assert table.column("label").to_pylist() == ["x", "y"]


TWO = {"data/a.csv": CSV, "data/b.csv": MORE_CSV}


@pytest.mark.parametrize(
    ("files", "source", "labels"),
    [
        ({"readme.txt": b"read me", "data/a.csv": CSV, "__MACOSX/data/._a.csv": b"\0"}, {}, ["x", "y"]),
        (TWO, {"member": "data/b.csv"}, ["x", "y", "z"]),
        ({"a.csv.gz": gzip.compress(MORE_CSV)}, {}, ["x", "y", "z"]),
    ],
)
def test_one_file_of_an_archive_is_read(server, tmp_path, files, source, labels):
    table = of_archive(server, tmp_path, files, **source)
    assert table.column("label").to_pylist() == labels
    assert matrix(table)[1].tolist() == [3, 4.5]


@pytest.mark.parametrize(
    ("files", "source", "said"),
    [
        (TWO, {}, "has 2 files: 'data/a.csv', 'data/b.csv'. Name one as `member`."),
        (TWO, {"member": "data/c.csv"}, "`member` names the file 'data/c.csv', which .* Did you mean"),
        ({"readme.txt": b"read me"}, {}, "has no file in a format that can be read, only 'readme.txt'."),
        ({"/etc/a.csv": CSV}, {}, "leads out of the archive"),
        ({"../../a.csv": CSV}, {}, "leads out of the archive"),
        ({"C:\\a.csv": CSV}, {}, "leads out of the archive"),
        ({linked("a.csv"): b"/etc/passwd"}, {}, "is a link to another file"),
        ({"a.csv": b"a,b\n" + b"1,2\n" * 1_000_000}, {"max_unpacked_mb": 1}, "holds more than 1 MB. If that is right"),
        ({"a.zip": packed(TWO)}, {}, "has no file in a format that can be read, only 'a.zip'"),
        ({}, {}, "has no files. Pack it again with the table in it."),
        ({"a.csv": CSV}, {"member": "a.xlsx"}, "The name of a.xlsx ends in none of the formats"),
    ],
)
def test_an_archive_that_cannot_be_used(server, tmp_path, files, source, said):
    message = refusal(functools.partial(of_archive, server, tmp_path, files, **source))
    assert re.search(said, message), message
    assert not [path for path in tmp_path.rglob("*") if path.suffix != ".zip"]


def test_an_archive_that_is_damaged_or_none(server, tmp_path):
    whole = packed({"a.csv": MORE_CSV})
    place = whole.index(b"a.csv") + 7
    for bad in (whole[:-30], b"no archive", whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :]):
        server.packed = bad
        message = refusal(functools.partial(from_url, f"{server.address}/packed/data.zip", tmp_path, bad))
        assert "cannot be read as zip" in message


def test_a_member_of_what_is_no_archive(server, tmp_path):
    message = refusal(functools.partial(from_url, f"{server.address}/ok/data.csv", tmp_path, member="a.csv"))
    assert "is no .zip. Leave it out." in message


# Files: what is read


ROWS = pd.DataFrame(
    {
        "cell": ["c1", "c2", "c3", "c4"],
        "wide": [0.1, 2.0, -3.5, 1e-3],
        "kind": ["x", None, "y", "x"],
        "count": [1, 2, 300, 4],
        "on": [True, False, False, True],
    }
)
FEATURES = ROWS[["wide", "count", "on"]].to_numpy(dtype=np.float32)


def write_rows(path: Path) -> Path:
    """Write `ROWS` in the format of the path's name."""
    if path.suffix == ".parquet":
        ROWS.to_parquet(path)
    elif path.suffix == ".feather":
        ROWS.to_feather(path)
    elif path.suffix in (".arrow", ".ipc"):
        table = pa.Table.from_pandas(ROWS, preserve_index=False)
        # Polars writes text as views, and categories as dictionaries.
        kind = table["kind"].dictionary_encode()
        table = table.set_column(0, "cell", table["cell"].cast(pa.string_view())).set_column(2, "kind", kind)
        with (pa.ipc.new_stream if path.suffix == ".ipc" else pa.ipc.new_file)(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    elif path.suffix == ".npz":
        np.savez(path, X=FEATURES, cell=ROWS.cell.to_numpy(str), kind=ROWS.kind.fillna("").to_numpy(str))
    else:
        ROWS.to_csv(path, index=False, sep="\t" if ".tsv" in path.name else ",")
    return path


TABLES = [
    "rows.parquet",
    "rows.feather",
    "rows.arrow",
    "rows.ipc",
    "rows.csv",
    "rows.tsv",
    "rows.csv.gz",
    "rows.tsv.gz",
    "ROWS.CSV",
]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_format_gives_the_same_table(name, tmp_path):
    table, names = read(write_rows(tmp_path / name), id="cell", label="kind")
    assert table.column_names == ["id", "label", "features"]
    assert table.column("id").to_pylist() == ROWS.cell.tolist()
    assert table.column("label").to_pylist() == ["x", None, "y", "x"]
    np.testing.assert_array_equal(matrix(table), FEATURES)
    assert names == ["wide", "count", "on"]


@pytest.mark.parametrize("name", TABLES)
def test_listed_features_are_taken_in_their_order_and_the_rest_is_left(name, tmp_path):
    table, names = read(write_rows(tmp_path / name), features=["count", "wide"])
    assert table.column_names == ["id", "features"]
    assert table.column("id").to_pylist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(matrix(table), FEATURES[:, [1, 0]])
    assert names == ["count", "wide"]


@pytest.mark.parametrize("name", ["rows.parquet", "rows.feather", "rows.csv"])
def test_rows_keep_their_order_across_blocks(name, tmp_path, monkeypatch):
    monkeypatch.setattr(data_table, "BLOCK_VALUES", 3)
    table, _ = read(write_rows(tmp_path / name), id="cell", label="kind")
    np.testing.assert_array_equal(matrix(table), FEATURES)
    assert table.column("id").to_pylist() == ROWS.cell.tolist()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["u1", "<i8", ">f4", "<f2", "?"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_of_any_number_type_and_memory_order(suffix, kind, order, tmp_path, monkeypatch):
    monkeypatch.setattr(data_table, "BLOCK_VALUES", 6)
    values = np.arange(15).reshape(5, 3).astype(kind, order=order)
    path = tmp_path / f"values{suffix}"
    if suffix == ".npy":
        np.save(path, values)
    else:
        np.savez(path, X=values)
    table, names = read(path)
    np.testing.assert_array_equal(matrix(table), np.ascontiguousarray(values).astype(np.float32))
    assert (table.column_names, names) == (["id", "features"], ["0", "1", "2"])


def test_npz_takes_y_for_label_unless_another_is_named(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, X=np.eye(3), y=np.array([4, 5, 6], "u1"), group=np.array(["a", "b", "c"]), key=[7, 8, 9])
    label = read(path)[0].column("label")
    assert (label.type, label.to_pylist()) == (pa.int64(), [4, 5, 6])
    table, _ = read(path, id="key", label="group")
    assert table.column("label").to_pylist() == ["a", "b", "c"]
    assert (table.column("id").type, table.column("id").to_pylist()) == (pa.int64(), [7, 8, 9])
    assert read(path, id="y")[0].column_names == ["id", "features"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        *((kind, [1, 0, 1]) for kind in (">i8", ">u4", ">f8", "<f2", "g")),
        (">U1", ["1", "0", "1"]),
        ("S1", ["1", "0", "1"]),
        (">M8[D]", ["1970-01-02", "1970-01-01", "1970-01-02"]),
        ("M8[Y]", ["1971-01-01", "1970-01-01", "1971-01-01"]),
    ],
)
def test_what_describes_rows_may_be_of_any_type_and_byte_order(kind, expected, tmp_path):
    values = np.array([1, 0, 1]).astype(kind)
    np.savez(tmp_path / "data.npz", X=np.eye(3), q=values, r=values)
    table, _ = read(tmp_path / "data.npz", label="q", annotations=["r"])
    assert table.column("label").to_pylist() == table.column("r").to_pylist() == expected


@pytest.mark.parametrize("kind", [">i8", ">u8", ">U1"])
def test_ids_may_be_of_any_byte_order(kind, tmp_path):
    np.savez(tmp_path / "data.npz", X=np.eye(3), key=np.array([3, 1, 2]).astype(kind))
    ids = read(tmp_path / "data.npz", id="key")[0].column("id").to_pylist()
    assert ids == (["3", "1", "2"] if kind == ">U1" else [3, 1, 2])


LARGE = [2**63, 2**64 - 1, 5]


@pytest.mark.parametrize("name", ["data.parquet", "data.feather", "data.npz", "data.csv"])
def test_whole_numbers_beyond_int64_are_kept_as_text(name, tmp_path):
    path, values = tmp_path / name, np.array(LARGE, np.uint64)
    frame = pd.DataFrame({"key": values, "kind": values, "note": values, "x": [1.0, 2.0, 3.0]})
    if name.endswith("npz"):
        np.savez(path, X=np.eye(3), key=values, kind=values, note=values)
    else:
        {"parquet": frame.to_parquet, "feather": frame.to_feather, "csv": functools.partial(frame.to_csv, index=False)}[
            name.partition(".")[2]
        ](path)
    table, _ = read(path, id="key", label="kind", annotations=["note"])
    for column in ("id", "label", "note"):
        assert table.column(column).to_pylist() == [str(value) for value in LARGE]


@pytest.mark.parametrize(
    ("written", "kind", "expected"),
    [
        (["10", "-2", "0"], pa.int64(), [10, -2, 0]),
        (["007", "8", "9"], pa.string(), ["007", "8", "9"]),
        (["1.0", "2.0", "3.0"], pa.string(), ["1.0", "2.0", "3.0"]),
        (["0x1", "0x2", "0x3"], pa.string(), ["0x1", "0x2", "0x3"]),
        (["NA", "nan", "null"], pa.string(), ["NA", "nan", "null"]),
        (["1", "2", "99999999999999999999"], pa.string(), ["1", "2", "99999999999999999999"]),
    ],
)
def test_ids_of_text_files_stay_as_they_are_written(written, kind, expected, tmp_path):
    path = text_file(tmp_path / "data.csv", "key,x", *(f"{value},{row}" for row, value in enumerate(written)))
    ids = read(path, id="key")[0].column("id")
    assert (ids.type, ids.to_pylist()) == (kind, expected)


@pytest.mark.parametrize(
    ("written", "kind", "expected"),
    [
        (["3", "1", "2"], pa.int64(), [3, 1, 2]),
        (["3", "", "NA"], pa.int64(), [3, None, None]),
        (["1.5", "2", "-1e-3"], pa.float64(), [1.5, 2.0, -1e-3]),
        (["1.5", "nan", "2"], pa.float64(), [1.5, None, 2.0]),
        (["01", "02", "03"], pa.string(), ["01", "02", "03"]),
        (["T cell", "", '"B, naive"'], pa.string(), ["T cell", None, "B, naive"]),
        (["True", "False", "True"], pa.string(), ["True", "False", "True"]),
    ],
)
def test_labels_of_text_files_are_numbers_where_all_are(written, kind, expected, tmp_path):
    path = text_file(tmp_path / "data.csv", "x,group", *(f"{row},{value}" for row, value in enumerate(written)))
    labels = read(path, label="group")[0].column("label")
    assert (labels.type, labels.to_pylist()) == (kind, expected)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array([1, None], pa.uint8()), pa.int64(), [1, None]),
        (pa.array([1.5, np.nan], pa.float32()), pa.float64(), [1.5, None]),
        (pa.array(["a", None]).dictionary_encode(), pa.string(), ["a", None]),
        (pa.array([5, None]).dictionary_encode(), pa.int64(), [5, None]),
        (pa.array([Decimal("1.5"), None]), pa.float64(), [1.5, None]),
        (pa.array(["a", None], pa.large_string()), pa.string(), ["a", None]),
        (pa.array([True, False]), pa.string(), ["true", "false"]),
        (pa.array([0, 1], pa.date32()), pa.string(), ["1970-01-01", "1970-01-02"]),
    ],
)
def test_labels_of_typed_files(values, kind, expected, tmp_path):
    pq.write_table(pa.table({"x": [1, 2], "group": values}), tmp_path / "data.parquet")
    labels = read(tmp_path / "data.parquet", label="group")[0].column("label")
    assert (labels.type, labels.to_pylist()) == (kind, expected)


def test_categorical_ids(tmp_path):
    pq.write_table(pa.table({"x": [1, 2], "key": pa.array(["a", "b"]).dictionary_encode()}), tmp_path / "data.parquet")
    assert read(tmp_path / "data.parquet", id="key")[0].column("id").to_pylist() == ["a", "b"]


@pytest.mark.parametrize(
    "kind", [pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal128(5, 2)]
)
def test_features_of_every_numeric_type(kind, tmp_path):
    path = tmp_path / "data.parquet"
    values = pa.array([0, 1, 1], pa.int8()).cast(kind)
    pq.write_table(pa.table({"x": values}), path)
    np.testing.assert_array_equal(matrix(read(path)[0]), [[0], [1], [1]])
    pq.write_table(pa.table({"x": pa.concat_arrays([values, pa.nulls(2, kind)])}), path)
    assert "2 rows with a value that is missing" in refused(path)


def test_a_column_of_nulls_is_not_passed_over(tmp_path):
    pq.write_table(pa.table({"x": [1, 2], "empty": pa.nulls(2)}), tmp_path / "data.parquet")
    assert "in the columns 'empty'" in refused(tmp_path / "data.parquet")


def test_quoted_text_may_hold_many_lines(tmp_path):
    path = tmp_path / "data.csv"
    label = "first" + "\n" * 200 + "last"
    rows = 60_000  # several of the parser's blocks
    path.write_text("x,kind\n" + f'1,"{label}"\n' * rows)
    assert read(path, label="kind")[0].column("label").value_counts().to_pylist() == [{"values": label, "counts": rows}]


def test_a_column_of_text_file_may_turn_from_whole_numbers_to_others_late(tmp_path):
    path = tmp_path / "data.csv"
    rows = 600_000  # several of the parser's blocks
    path.write_text("a,b\n" + "100000,1\n" * rows + "0.5,2\n")
    values = matrix(read(path)[0])
    assert (values.shape, values[0, 0], values[-1, 0]) == ((rows + 1, 2), 100000, 0.5)
    path.write_text("a,b\n" + "100000,1\n" * rows + "few,2\n")
    message = refused(path)
    assert f"The column 'a' of {path} is not numeric throughout (invalid value 'few' in line {rows + 2})" in message


def test_numbers_are_rounded_to_float32_once_from_float64(tmp_path):
    # Halfway between two float32 numbers but for a difference that float64 does not hold either.
    written = "1.00000005960464477539062500000001"
    path = text_file(tmp_path / "data.csv", "a,b", f"{written},2")
    assert matrix(read(path)[0])[0, 0] == np.float32(float(written))


def test_columns_named_by_ordered_numbers_are_names(tmp_path):
    path = text_file(tmp_path / "spectra.csv", "400.5,401.5,500,kind", "1,2,3,a")
    assert read(path, label="kind")[1] == ["400.5", "401.5", "500"]


def test_columns_with_a_dot_in_the_name(tmp_path):
    pq.write_table(pa.table({"a.b": [1.0], "a.c": [2.0]}), tmp_path / "data.parquet")
    np.testing.assert_array_equal(matrix(read(tmp_path / "data.parquet")[0]), [[1, 2]])


def test_a_named_sha256_that_fits(tmp_path):
    path = write_rows(tmp_path / "rows.csv")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read(path, sha256=sha256, features=["wide"])[0].num_rows == 4


# Files: what is refused


def test_another_sha256_names_both(tmp_path):
    path = write_rows(tmp_path / "rows.csv")
    message = refused(path, sha256="0" * 64, features=["wide"])
    assert str(path) in message
    assert hashlib.sha256(path.read_bytes()).hexdigest() in message
    assert "0" * 64 in message


@pytest.mark.parametrize("source", [{}, {"sha256": "0" * 64}])
def test_a_missing_file(source, tmp_path):
    assert f"There is no file {tmp_path / 'none.csv'}" in refused(tmp_path / "none.csv", **source)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "parts.parquet").mkdir()
    assert "There is no file" in refused(tmp_path / "parts.parquet")


def test_an_unknown_format(tmp_path):
    path = text_file(tmp_path / "data.xlsx", "a")
    known = ".parquet, .feather, .arrow, .ipc, .csv"
    assert f"{path} ends in none of the formats that can be read: {known}" in refused(path)


@pytest.mark.parametrize("name", [*TABLES, "rows.npz", "rows.npy"])
def test_an_empty_file(name, tmp_path):
    (tmp_path / name).touch()
    said = "is empty: it has 0 bytes. Write or copy it again, or leave it out."
    assert f"{tmp_path / name} {said}" in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.feather", "rows.csv", "rows.tsv.gz", "rows.npz"])
def test_a_file_cut_short(name, tmp_path):
    path = write_rows(tmp_path / name)
    path.write_bytes(path.read_bytes()[:-10])
    message = refused(path, features=None if name.endswith("npz") else ["wide"])
    assert str(path) in message
    assert "Copy it again" in message


def test_an_npy_cut_short(tmp_path):
    np.save(tmp_path / "data.npy", np.eye(5))
    content = (tmp_path / "data.npy").read_bytes()
    (tmp_path / "data.npy").write_bytes(content[:-8])
    assert "cannot be read as npy" in refused(tmp_path / "data.npy")


@pytest.mark.parametrize("name", [*TABLES, "rows.npz", "rows.npy"])
def test_a_file_of_noise(name, tmp_path):
    (tmp_path / name).write_bytes(np.random.RandomState(0).bytes(2000))
    assert str(tmp_path / name) in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.npz", "rows.csv.gz"])
def test_a_changed_byte_in_a_format_with_checksums(name, tmp_path):
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.table({"x": np.arange(1000.0)}), path, write_page_checksum=True, use_dictionary=False)
    elif name.endswith("npz"):
        np.savez(path, X=np.arange(1000.0).reshape(-1, 2))
    else:
        path.write_bytes(gzip.compress(b"x\n" + b"".join(b"%d\n" % row for row in range(1000))))
    assert read(path)[0].num_rows >= 500
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "Copy it again" in refused(path)


def test_a_broken_header_in_an_npy_file(tmp_path):
    np.save(tmp_path / "data.npy", np.eye(5))
    content = (tmp_path / "data.npy").read_bytes()
    (tmp_path / "data.npy").write_bytes(content.replace(b"(5, 5), }", b"(5, 5    "))
    assert "cannot be read as npy" in refused(tmp_path / "data.npy")


def test_a_compression_that_is_unknown(tmp_path):
    np.savez_compressed(tmp_path / "data.npz", X=np.eye(5))
    content = bytearray((tmp_path / "data.npz").read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[8], content[directory + 10] = 99, 99
    (tmp_path / "data.npz").write_bytes(content)
    assert "compression method is not supported" in refused(tmp_path / "data.npz")


def test_a_want_of_memory_is_not_called_damage(tmp_path, monkeypatch):
    def fail(*_args: object, **_keywords: object) -> None:
        raise pa.ArrowMemoryError("malloc failed")

    monkeypatch.setattr(pq, "ParquetFile", fail)
    with pytest.raises(MemoryError):
        read(write_rows(tmp_path / "rows.parquet"))


def test_damaged_offsets_in_a_feather_file(tmp_path):
    path = tmp_path / "data.feather"
    table = pa.table({"x": np.arange(50.0), "cell": [f"cell {row}" for row in range(50)]})
    feather.write_feather(table, path, compression="uncompressed")
    content = path.read_bytes()
    offsets = np.cumsum([0] + [len(f"cell {row}") for row in range(50)], dtype=np.int32)
    assert content.count(offsets.tobytes()) == 1
    path.write_bytes(content.replace(offsets.tobytes(), offsets[:-1].tobytes() + np.int32(2**30).tobytes()))
    assert "cannot be read as feather" in refused(path, id="cell")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["a,b", "1,2", "3"], "a line with 1 and not 2 values. Copy it again if it was cut short"),
        (["a,b", "1,2", "3,4,5"], "a line with 3 and not 2 values"),
        (["a,b"], "has no rows"),
        (["a,b,a", "1,2,3"], "more than one column of the name 'a'"),
        (["a,b,c,d", "1,x,2,2020-01-01"], "'b' ('x' in line 2), 'd' ('2020-01-01' in line 2). Name them as"),
        (["a b", "1 2"], "columns that are not numeric: 'a b'"),
        (["5.1,3.5,1.4", "4.9,3.0,1.5"], "looks like data, not like the columns' names: '5.1', '3.5', '1.4'"),
        (["a,b", "1,2", ",3", "4,NA", "nan,5"], "3 rows with a value that is missing"),
        (["a,b", "1,2", "1,inf"], "1 row with a value that is missing, infinite or beyond float32"),
        (["a,b", "1,2", "1e39,1"], "in the columns 'a'"),
        (["a,b", "1,", "2,"], "2 rows with a value that is missing"),
    ],
)
def test_a_csv_that_cannot_be_used(lines, expected, tmp_path):
    path = text_file(tmp_path / "data.csv", *lines)
    message = refused(path)
    assert str(path) in message
    assert expected in message


def test_text_that_is_not_utf8(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes("x,kind\n1,Zürich\n".encode("latin-1"))
    assert "UTF-8" in refused(path, label="kind")


@pytest.mark.parametrize("name", ["rows.parquet", "rows.feather", "rows.csv", "rows.npz"])
@pytest.mark.parametrize("key", ["id", "label"])
def test_an_unknown_name_suggests_the_nearest(key, name, tmp_path):
    message = refused(write_rows(tmp_path / name), **{key: "knd"})
    assert f"`{key}` names the {'array' if name.endswith('npz') else 'column'} 'knd'" in message
    assert "Did you mean 'kind'?" in message


def test_an_unknown_feature_without_a_near_name_lists_what_there_is(tmp_path):
    message = refused(write_rows(tmp_path / "rows.csv"), features=["wide", "zzz"])
    assert "`features` names the column 'zzz'" in message
    assert "It has 'cell', 'wide', 'kind', 'count', 'on'." in message


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"id": "cell", "label": "cell"}, "`id` and `label` both name the column 'cell'"),
        ({"label": "count", "features": ["wide", "count"]}, "`features` lists 'count', which is already"),
        ({"features": ["wide", "kind"]}, "that are not numeric: 'kind' ('x'"),
        ({"id": "wide", "label": "kind"}, "columns that are not numeric: 'cell' ('c1'"),
        ({}, "columns that are not numeric: 'cell' ('c1'"),
    ],
)
@pytest.mark.parametrize("name", ["rows.parquet", "rows.feather", "rows.csv"])
def test_names_that_contradict(name, source, expected, tmp_path):
    assert expected in refused(write_rows(tmp_path / name), **source)


def test_no_column_left_for_features(tmp_path):
    path = text_file(tmp_path / "data.csv", "cell,kind", "a,b")
    assert f"{path} has no columns of features" in refused(path, id="cell", label="kind")


@pytest.mark.parametrize("name", ["data.parquet", "data.feather"])
def test_a_table_without_rows(name, tmp_path):
    frame = pd.DataFrame({"x": np.empty(0)})
    frame.to_parquet(tmp_path / name) if name.endswith("parquet") else frame.to_feather(tmp_path / name)
    assert "has no rows" in refused(tmp_path / name)


@pytest.mark.parametrize("index", [None, "cell"])
def test_an_index_of_pandas_names_the_rows(index, tmp_path):
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index=pd.Index([10, 20, 30], name=index))
    frame.to_parquet(tmp_path / "data.parquet")
    name = index or "__index_level_0__"
    for source in ({}, {"id": name}, {"features": "numeric"}):
        table, names = read(tmp_path / "data.parquet", **source)
        assert (table.column("id").to_pylist(), names) == ([10, 20, 30], ["x"])
    table, names = read(tmp_path / "data.parquet", exclude=[name])
    assert (table.column("id").to_pylist(), names) == ([0, 1, 2], ["x"])


def test_a_repeated_name_in_a_parquet_file(tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]), tmp_path / "data.parquet")
    assert "more than one column of the name 'x'" in refused(tmp_path / "data.parquet")


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["a", "b", "a", "c", "a", "b"], "'a' occurs 3 times"),
        ([1, 2, 2, 3, 4, 5], "2 occurs 2 times"),
        (["a", "", "b", None, "c", "d"], "missing in 2 of 6 rows"),
        ([1, None, 2, 3, 4, 5], "missing in 1 of 6 rows"),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "is of type double. Make it whole numbers or text"),
    ],
)
def test_ids_that_do_not_tell_rows_apart(ids, expected, tmp_path):
    pq.write_table(pa.table({"key": pa.array(ids), "x": range(6)}), tmp_path / "data.parquet")
    message = refused(tmp_path / "data.parquet", id="key")
    assert f"The `id` of {tmp_path / 'data.parquet'}" in message
    assert expected in message


def test_a_missing_id_in_a_text_file(tmp_path):
    path = text_file(tmp_path / "data.csv", "key,x", "a,1", ",2")
    assert "missing in 1 of 2 rows" in refused(path, id="key")


def test_an_infinite_label(tmp_path):
    pq.write_table(pa.table({"x": [1, 2], "y": [np.inf, np.nan]}), tmp_path / "data.parquet")
    assert "infinite in 1 rows" in refused(tmp_path / "data.parquet", label="y")


def test_a_label_that_is_no_single_value(tmp_path):
    pq.write_table(pa.table({"x": [1, 2], "y": [[1], [2, 3]]}), tmp_path / "data.parquet")
    assert "is of type list<element: int64>. Make it text" in refused(tmp_path / "data.parquet", label="y")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39, -1e300])
@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_values_that_float32_cannot_hold_are_counted_over_all_blocks(suffix, bad, tmp_path, monkeypatch):
    monkeypatch.setattr(data_table, "BLOCK_VALUES", 16)
    values = np.zeros((100, 8))
    values[5:95:10, 2] = bad
    values[95, [2, 7]] = bad
    path = tmp_path / f"data{suffix}"
    if suffix == ".npy":
        np.save(path, values)
    else:
        pd.DataFrame(values, columns=[str(column) for column in range(8)]).to_parquet(path)
    message = refused(path)
    assert f"{path} has 10 rows with a value that is missing, infinite or beyond float32" in message
    assert "in the columns '2', '7'." in message


def test_only_the_first_of_many_columns_are_named(tmp_path):
    np.save(tmp_path / "data.npy", np.full((2, 30), np.nan))
    assert "columns '0', '1', '2', '3', '4' and 25 more" in refused(tmp_path / "data.npy")


def test_the_largest_float32_is_kept(tmp_path):
    largest = float(np.finfo(np.float32).max)
    np.save(tmp_path / "data.npy", np.array([[largest, -largest]]))
    np.testing.assert_array_equal(matrix(read(tmp_path / "data.npy")[0]), [[largest, -largest]])


EYE = np.eye(3)


@pytest.mark.parametrize(
    ("arrays", "source", "expected"),
    [
        ({"data": EYE, "z": EYE}, {}, "has no array 'X', only 'data', 'z'"),
        ({"X": EYE, "y": np.arange(2)}, {}, "array 'y' in {path} has the shape (2,), and X has 3 rows"),
        ({"X": EYE, "y": EYE[:, :1]}, {}, "array 'y' in {path} has the shape (3, 1)"),
        ({"X": EYE, "key": np.arange(4)}, {"id": "key"}, "array 'key' in {path} has the shape (4,)"),
        ({"X": EYE, "y": np.array([1, "a", None], object)}, {}, "array 'y' in {path} holds objects of Python"),
        ({"X": np.array([[1, "a"]], object)}, {}, "array 'X' in {path} holds objects of Python"),
        ({"X": EYE, "y": np.arange(3) + 1j}, {}, "array 'y' in {path} is of type complex128. Save numbers"),
        ({"X": EYE, "key": np.arange(3) + 1j}, {"id": "key"}, "array 'key' in {path} is of type complex128"),
        (
            {"X": EYE, "note": np.arange(3) + 1j},
            {"annotations": ["note"]},
            "array 'note' in {path} is of type complex128",
        ),
        ({"X": EYE, "note": np.zeros(3, "i4,f4")}, {"annotations": ["note"]}, "array 'note' in {path} is of type"),
        ({"X": EYE + 1j}, {}, "is of type complex128, not real numbers"),
        ({"X": EYE.astype(str)}, {}, "not real numbers"),
        ({"X": np.zeros((3, 2, 2))}, {}, "has the shape (3, 2, 2). Reshape it"),
        ({"X": np.zeros(3)}, {}, "has the shape (3,). Reshape it"),
        ({"X": np.zeros((0, 3))}, {}, "has no rows"),
        ({"X": np.zeros((3, 0))}, {}, "has no features"),
        ({"X": EYE}, {"id": "X"}, "X of {path} holds the features"),
        ({"X": EYE}, {"label": "X"}, "X of {path} holds the features"),
        ({"X": EYE, "y": np.arange(3)}, {"id": "y", "label": "y"}, "`id` is 'y' and `label` is 'y'"),
        ({"X": EYE}, {"features": ["0"]}, "`features` selects columns by name"),
        ({"X": EYE, "key": np.array(["a", "b", "a"])}, {"id": "key"}, "'a' occurs 2 times"),
    ],
)
def test_an_npz_that_cannot_be_used(arrays, source, expected, tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    assert expected.format(path=path) in refused(path, **source)


@pytest.mark.parametrize(
    ("array", "source", "expected"),
    [
        (np.zeros(3), {}, "has the shape (3,)"),
        (np.array([[None]], object), {}, "cannot be read as npy"),
        (EYE.astype(complex), {}, "not real numbers"),
        (EYE, {"label": "y"}, "holds features alone"),
        (EYE, {"id": "y"}, "holds features alone"),
        (EYE, {"features": ["a"]}, "`features` selects columns by name"),
    ],
)
def test_an_npy_that_cannot_be_used(array, source, expected, tmp_path):
    np.save(tmp_path / "data.npy", array)
    assert expected in refused(tmp_path / "data.npy", **source)


def test_an_npy_under_the_name_of_an_npz(tmp_path):
    np.save(tmp_path / "data.npy", EYE)
    (tmp_path / "data.npy").rename(tmp_path / "data.npz")
    assert "cannot be read as npz" in refused(tmp_path / "data.npz")


# Tables as programs write them: names of rows, columns of all kinds, missing values


PENGUINS = pd.DataFrame(
    {
        "species": ["Adelie", "Gentoo", "Gentoo", "Chinstrap"],
        "bill_length": [39.1, np.nan, 46.5, 50.0],
        "bill_depth": [18.7, 13.2, np.nan, 19.5],
        "mass": [3750, 4500, 5700, 3900],
        "year": [2007, 2008, 2009, 2009],
    },
    index=["one", "two", "three", "four"],
)


@pytest.mark.parametrize("head", ["", '""', "Unnamed: 0"])
@pytest.mark.parametrize("source", [{}, {"features": "numeric"}])
def test_a_first_column_without_a_name_names_the_rows(head, source, tmp_path):
    path = text_file(tmp_path / "data.csv", f"{head},a,b", "r1,1,2", "r2,3,4")
    table, names = read(path, **source)
    assert (table.column("id").to_pylist(), names) == (["r1", "r2"], ["a", "b"])
    table, names = read(path, id=head.strip('"'), **source)
    assert (table.column("id").to_pylist(), names) == (["r1", "r2"], ["a", "b"])


@pytest.mark.parametrize("features", [{}, {"features": "numeric"}])
def test_names_of_rows_are_no_feature_where_another_column_is_the_id(features, tmp_path):
    frame = pd.DataFrame({"cell": list("abc"), "x": [1.5, 2.5, 3.5]}, index=[4, 7, 9])
    frame.to_csv(tmp_path / "data.csv")
    frame.to_parquet(tmp_path / "data.parquet")
    for path in (tmp_path / "data.csv", tmp_path / "data.parquet"):
        table, names = read(path, id="cell", **features)
        assert (table.column("id").to_pylist(), names) == (["a", "b", "c"], ["x"])
    table, names = read(tmp_path / "data.csv", id="cell", features=["", "x"])
    assert names == ["", "x"]


@pytest.mark.parametrize("levels", [["donor", "cell"], [None, None]])
@pytest.mark.parametrize("features", [{}, {"features": "numeric"}])
def test_an_index_of_several_columns_is_no_feature(levels, features, tmp_path):
    index = pd.MultiIndex.from_arrays([[1, 1, 2], [7, 8, 9]], names=levels)
    path = tmp_path / "data.parquet"
    pd.DataFrame({"x": [1.5, 2.5, 3.5], "kind": [1, 2, 2]}, index=index).to_parquet(path)
    stored = [name or f"__index_level_{place}__" for place, name in enumerate(levels)]
    message = refused(path, **features)
    assert f"{path} has an index of several columns: '{stored[0]}', '{stored[1]}'. Name the one" in message
    table, names = read(path, id=stored[1], label="kind", **features)
    assert (table.column("id").to_pylist(), names) == ([7, 8, 9], ["x"])
    table, names = read(path, exclude=stored, **features)
    assert (table.column("id").to_pylist(), names) == ([0, 1, 2], ["x", "kind"])
    table, names = read(path, id=stored[1], annotations=[stored[0]], **features)
    assert (table.column(stored[0]).to_pylist(), names) == ([1, 1, 2], ["x", "kind"])


def test_numbers_of_rows_in_a_first_column_are_ids_and_no_feature(tmp_path):
    pd.DataFrame({"a": [1.5, 2.5]}, index=[1, 2]).to_csv(tmp_path / "data.csv")
    table, names = read(tmp_path / "data.csv")
    assert (table.column("id").to_pylist(), names) == ([1, 2], ["a"])


def test_names_of_rows_that_occur_twice_are_refused_or_left_out(tmp_path):
    path = text_file(tmp_path / "data.csv", ",a", "x,1", "x,2")
    assert "'x' occurs 2 times" in refused(path)
    table, names = read(path, exclude=[""])
    assert (table.column("id").to_pylist(), names) == ([0, 1], ["a"])


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ({"features": "numeric", "missing": "drop"}, ["bill_length", "bill_depth", "mass", "year"]),
        ({"features": "numeric", "exclude": ["year"], "missing": "drop"}, ["bill_length", "bill_depth", "mass"]),
        ({"features": "numeric", "exclude": ["bill*"]}, ["mass", "year"]),
        ({"features": "numeric", "annotations": ["year"], "missing": "drop"}, ["bill_length", "bill_depth", "mass"]),
        ({"features": ["mass", "bill_*"], "missing": "drop"}, ["mass", "bill_length", "bill_depth"]),
        ({"features": ["*a*", "mass"], "exclude": ["species", "year"]}, ["mass"]),
        ({"features": ["bill_[dl]e*"], "missing": "drop"}, ["bill_length", "bill_depth"]),
        ({"label": "species", "exclude": ["bill*", "year"]}, ["mass"]),
    ],
)
@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_columns_chosen_by_kind_and_by_pattern(name, source, names, tmp_path):
    PENGUINS.to_csv(tmp_path / name) if name.endswith("csv") else PENGUINS.to_parquet(tmp_path / name)
    table, found = read(tmp_path / name, **source)
    assert found == names
    expected = PENGUINS[names].dropna()
    np.testing.assert_array_equal(matrix(table), expected.to_numpy(np.float32))
    assert table.column("id").to_pylist() == expected.index.tolist()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"features": ["x*"]}, "`features` names the column 'x*'"),
        ({"features": "numeric", "exclude": ["yeer"]}, "`exclude` names the column 'yeer', which"),
        ({"features": ["spec*"]}, "not numeric: 'species'"),
        ({"features": ["mass"], "exclude": ["mass"]}, "leave no column"),
        ({"features": "numeric", "exclude": ["bill*", "mass", "year"]}, "no columns of features"),
        ({"features": "numeric"}, "2 rows with a value that is missing"),
        ({"features": "numeric"}, "see `missing`"),
        ({"annotations": ["specis"]}, "`annotations` names the column 'specis'"),
        ({"features": ["mass"], "annotations": ["mass"]}, "already `id`, `label` or one of `annotations`"),
        ({}, "set `features: numeric`"),
    ],
)
def test_columns_that_cannot_be_chosen(source, expected, tmp_path):
    PENGUINS.to_csv(tmp_path / "data.csv")
    assert expected in refused(tmp_path / "data.csv", **source)


ODD_VALUES = ["a,x,y,when,t", '1,2,3,2020-01-02,"two', 'lines"', "2,-,4,2020-01-03,b", "3,4,15%,2020-01-04,c"]


def test_a_column_that_is_not_numeric_is_named_with_a_value_and_its_line(tmp_path):
    path = text_file(tmp_path / "data.csv", *ODD_VALUES)
    message = refused(path, exclude=["t"])
    assert "'x' ('-' in line 4), 'y' ('15%' in line 5), 'when' ('2020-01-02' in line 3)" in message
    assert "'x' ('-' in line 4). Leave" in refused(path, features=["a", "x"])
    packed = tmp_path / "data.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert "'x' ('-' in line 4)" in refused(packed, exclude=["t"])


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_columns_that_are_left_out_are_recorded_with_a_value(name, tmp_path):
    path = text_file(tmp_path / "data.csv", *ODD_VALUES)
    if name == "data.parquet":
        pd.read_csv(path).to_parquet(tmp_path / name)
    _, names = read(tmp_path / name, features="numeric", label="t", exclude=["when"])
    assert names == ["a"]
    left_out = store.read_record(tmp_path / "stored" / "data.parquet")["not_numeric"]
    expected = [["x", "'-' in line 4"], ["y", "'15%' in line 5"]]
    assert left_out == (expected if name == "data.csv" else [["x", "'2'"], ["y", "'3'"]])


def test_medians_stand_for_missing_values_and_no_row_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(data_table, "BLOCK_VALUES", 4)
    PENGUINS.to_csv(tmp_path / "data.csv")
    table, names = read(tmp_path / "data.csv", features="numeric", missing="median")
    filled = PENGUINS[names].fillna(PENGUINS[names].median())
    np.testing.assert_array_equal(matrix(table), filled.to_numpy(np.float32))
    record = store.read_record(tmp_path / "stored" / "data.parquet")
    assert record["missing"] == {"bill_length": 1, "bill_depth": 1}


def test_rows_that_are_dropped_are_counted_and_named(tmp_path):
    PENGUINS.to_csv(tmp_path / "data.csv")
    read(tmp_path / "data.csv", features="numeric", missing="drop", label="species")
    data, described = (store.read_record(tmp_path / "stored" / f"{name}.parquet") for name in ("data", "rows"))
    assert (data["rows"], data["source_rows"], data["missing"]) == (2, 4, {"bill_length": 1, "bill_depth": 1})
    assert described["left_out"] == ["two", "three"]


@pytest.mark.parametrize("policy", ["drop", "median"])
def test_missing_values_that_no_policy_helps(policy, tmp_path):
    np.save(tmp_path / "infinite.npy", np.array([[1, np.inf], [np.nan, 2]]))
    assert "1 row with a value that is infinite" in refused(tmp_path / "infinite.npy", missing=policy)
    np.save(tmp_path / "empty.npy", np.array([[1, np.nan], [3, np.nan]]))
    assert "columns without any value: '1'" in refused(tmp_path / "empty.npy", missing=policy)


def test_where_every_row_lacks_a_value_none_is_left(tmp_path):
    np.save(tmp_path / "data.npy", np.array([[1, np.nan], [np.nan, 2]]))
    assert "Every row" in refused(tmp_path / "data.npy", missing="drop")


# Annotations


CLUSTERS = pd.DataFrame(
    {"barcode": ["c4", "c2", "other", "c1"], "leiden": [3, 1, 9, None], "on_chip": [True, None, True, False]}
)


def annotated(folder: Path, *annotations: object, **source: object) -> dict[str, list]:
    """Return the columns beside the features of `ROWS`, with these annotations."""
    path = write_rows(folder / "rows.parquet")
    read(path, id="cell", features=["wide"], annotations=list(annotations), **source)
    return store.read(folder / "stored" / "rows.parquet").to_pydict()


def test_own_columns_annotate_with_their_types(tmp_path):
    found = annotated(tmp_path, "kind", "count", "on", label="kind")
    assert found == {
        "id": ROWS.cell.tolist(),
        "label": ["x", None, "y", "x"],
        "kind": ["x", None, "y", "x"],
        "count": [1, 2, 300, 4],
        "on": [True, False, False, True],
    }


@pytest.mark.parametrize("name", ["clusters.csv", "clusters.parquet"])
def test_another_file_annotates_by_id(name, tmp_path):
    path = tmp_path / name
    CLUSTERS.to_csv(path, index=False) if name.endswith("csv") else CLUSTERS.to_parquet(path)
    found = annotated(tmp_path, "kind", {"path": str(path), "id": "barcode", "columns": ["leiden"]})
    assert list(found) == ["id", "kind", "leiden"]
    assert found["leiden"] == [None, 1, None, 3]
    assert list(annotated(tmp_path, {"path": str(path), "id": "barcode"})) == ["id", "leiden", "on_chip"]
    record = store.read_record(tmp_path / "stored" / "rows.parquet")
    assert record["annotation_files"] == {str(path): {"matched": 3, "unmatched": 1}}


def test_ids_are_the_same_as_numbers_and_as_text(tmp_path):
    text_file(tmp_path / "notes.csv", "key,note", "0,a", "2,b")
    np.save(tmp_path / "data.npy", np.eye(3))
    table, _ = read(tmp_path / "data.npy", annotations=[{"path": str(tmp_path / "notes.csv"), "id": "key"}])
    assert table.column("note").to_pylist() == ["a", None, "b"]


FORMS = {"1": ["0", "2", "5"], "1.0": ["0.0", "2.0", "5.0"]}


@pytest.mark.parametrize("data", FORMS)
@pytest.mark.parametrize("notes", FORMS)
def test_ids_are_the_same_as_whole_floats(data, notes, tmp_path):
    path = text_file(tmp_path / "data.csv", "key,x", *(f"{one},{place}" for place, one in enumerate(FORMS[data])))
    text_file(tmp_path / "notes.csv", "key,note", *(f"{one},n{one[0]}" for one in FORMS[notes]))
    table, _ = read(path, id="key", annotations=[{"path": str(tmp_path / "notes.csv"), "id": "key"}])
    assert table.column("note").to_pylist() == ["n0", "n2", "n5"]
    pd.read_csv(tmp_path / "notes.csv").astype({"key": float}).to_parquet(tmp_path / "notes.parquet")
    table, _ = read(path, id="key", annotations=[{"path": str(tmp_path / "notes.parquet"), "id": "key"}])
    assert table.column("note").to_pylist() == ["n0", "n2", "n5"]


@pytest.mark.parametrize("ids", [[0.0, 2.5, 5.0], [0.0, 2.0, 2.0**53], [0.0, np.inf, 5.0]])
def test_floats_that_are_no_whole_numbers_are_no_ids(ids, tmp_path):
    pd.DataFrame({"key": ids, "note": list("abc")}).to_parquet(tmp_path / "notes.parquet")
    path = text_file(tmp_path / "data.csv", "key,x", "0,1", "2,1", "5,1")
    entry = {"path": str(tmp_path / "notes.parquet"), "id": "key"}
    assert "is of type double. Make it whole numbers or text" in refused(path, id="key", annotations=[entry])


def test_names_of_rows_are_the_ids_of_an_annotation_file(tmp_path):
    text_file(tmp_path / "notes.csv", ",note", "c1,a", "c3,b")
    assert annotated(tmp_path, {"path": str(tmp_path / "notes.csv")})["note"] == ["a", None, "b", None]


@pytest.mark.parametrize(
    ("lines", "entry", "expected"),
    [
        (["barcode,x", "c1,1", "c1,2"], {"id": "barcode"}, "'c1' occurs 2 times"),
        (["barcode,x", "d1,1", "d2,2"], {"id": "barcode"}, "it has 'd1', 'd2', and the data 'c1', 'c2'"),
        (["barcode,x", "c1,1"], {}, "have no ids. Name the column"),
        (["barcode,x", "c1,1"], {"id": "bar"}, "'bar', which"),
        (["barcode,x", "c1,1"], {"id": "barcode", "columns": ["y"]}, "the column 'y'"),
        (["barcode,seed", "c1,1"], {"id": "barcode"}, "called 'seed', as a column of the results is"),
        (["barcode,umap_1", "c1,1"], {"id": "barcode"}, "called 'umap_1'"),
        (["barcode,label", "c1,1"], {"id": "barcode"}, "called 'label'"),
        (["barcode,kind", "c1,1"], {"id": "barcode"}, "Two annotations are called 'kind'"),
        (["barcode", "c1"], {"id": "barcode"}, "notes.csv has no column beside its ids, so that it describes nothing"),
    ],
)
def test_annotations_that_cannot_be_joined(lines, entry, expected, tmp_path):
    path = text_file(tmp_path / "notes.csv", *lines)
    message = refusal(functools.partial(annotated, tmp_path, "kind", {"path": str(path), **entry}))
    assert expected in message


def test_rows_of_a_source_with_other_features_are_refused(tmp_path):
    path = write_rows(tmp_path / "rows.parquet")
    read(path, features=["wide"])
    ROWS.assign(wide=0).to_parquet(path)
    data = tmp_path / "stored" / "data.parquet"
    source = {"source": "file", "path": str(path), "features": ["wide"]}
    assert "has other features" in refusal(functools.partial(rows.compute, "test", source, path, data, data))


# The stored file, and the script as Snakemake runs it


def test_what_is_stored_can_be_read_back_and_says_what_it_is(tmp_path):
    source = {"source": "file", "path": "rows.csv", "id": "cell", "label": "kind"}
    out = tmp_path / "out" / "data.parquet"
    path = write_rows(tmp_path / "rows.csv")
    fetch.compute("mine", source, path, tmp_path / "download", out)
    assert store.read(out).column_names == ["features"]
    np.testing.assert_array_equal(store.read_features(out), FEATURES)
    record = store.read_record(out)
    assert (record["stage"], record["key"]) == ("data", {"dataset": "mine"})
    assert (record["rows"], record["dimensions"], record["feature_names"]) == (4, 3, ["wide", "count", "on"])
    assert record["origin"]["file"] == {"size": path.stat().st_size, "modified": path.stat().st_mtime_ns}
    assert record["fingerprint"] == store.fingerprint(store.read(out))
    described = out.with_name("rows.parquet")
    rows.compute("mine", source, path, out, described)
    assert store.read(described).to_pydict() == {"id": ROWS.cell.tolist(), "label": ["x", None, "y", "x"]}
    record = store.read_record(described)
    assert (record["stage"], record["inputs"]) == ("rows", store.inputs_of(out))
    assert record["fingerprint"] == store.fingerprint(store.read(described))


def test_the_fingerprint_tells_one_changed_bit(tmp_path):
    prints = []
    for value in (1.0, np.nextafter(np.float32(1), np.float32(2))):
        np.save(tmp_path / "data.npy", np.array([[value, 2.0]], np.float32))
        source = {"source": "file", "path": "data.npy"}
        fetch.compute("mine", source, tmp_path / "data.npy", tmp_path, tmp_path / "data.parquet")
        prints.append(store.read_record(tmp_path / "data.parquet")["fingerprint"])
    assert prints[0] != prints[1]


def run_script(folder: Path, source: dict, path: str | None) -> SimpleNamespace:
    """Run the script in a process of its own, with what Snakemake would hand it."""
    code = f"""
import runpy
from types import SimpleNamespace
snakemake = SimpleNamespace(
    params=SimpleNamespace(
        code={{"digest": "none"}}, dataset="mine", source={source!r}, download="download", parent=None
    ),
    input={{"source": {path!r}}}, output=["data.parquet"], log=["logs/fetch.log"],
)
runpy.run_path({str(SCRIPT)!r}, init_globals={{"snakemake": snakemake}})
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return SimpleNamespace(
        code=ran.returncode, stderr=ran.stderr, log=(folder / "logs/fetch.log").read_text(), out=folder / "data.parquet"
    )


def test_the_script_writes_its_output(tmp_path):
    ran = run_script(tmp_path, {"source": "tutorial_blobs", "rows": 4, "dimensions": 2}, None)
    assert (ran.code, ran.stderr) == (0, "")
    assert "mine: 12 rows, 2 features" in ran.log
    assert store.read(ran.out).num_rows == 12


def test_the_script_stops_with_one_sentence_and_no_output(tmp_path):
    text_file(tmp_path / "mine.csv", "a,a", "1,2")
    ran = run_script(tmp_path, {"source": "file", "path": "mine.csv"}, "mine.csv")
    expected = "mine.csv has more than one column of the name 'a'. Give every column its own."
    assert (ran.code, ran.stderr) == (1, f"umap-sweep: {expected}\n")
    assert expected in ran.log
    assert "Traceback" not in ran.log
    assert not ran.out.exists()
