"""Tables of text are read as they were written where that is plain, and otherwise the message names the key to set."""

import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pytest

from umap_sweep import packing as packed
from umap_sweep.cells import grid
from umap_sweep.errors import InputError
from umap_sweep.settings import configuration
from umap_sweep.sources import h5ad, reading

ROWS = [[1.5, 2.0], [4.25, -3.0]]

PLAIN = {
    "semicolons.csv": b"a;b\n1.5;2\n4.25;-3\n",
    "decimal_commas.csv": b"a;b\n1,5;2\n4,25;-3\n",
    "quoted_decimal_commas.csv": b'a;b\n"1,5";"2"\n"4,25";"-3"\n',
    "tabs.csv": b"a\tb\n1.5\t2\n4.25\t-3\n",
    "commas.tsv": b"a,b\n1.5,2\n4.25,-3\n",
    "bars.tsv": b"a|b\n1,5|2\n4,25|-3\n",
    "mark.csv": "\ufeffa,b\n1.5,2\n4.25,-3\n".encode(),
    "utf16.csv": "a,b\n1.5,2\n4.25,-3\n".encode("utf-16"),
    "utf16_semicolons.csv": "a;b\r\n1,5;2\r\n4,25;-3\r\n".encode("utf-16"),
    "packed.csv.gz": gzip.compress(b"a;b\n1,5;2\n4,25;-3\n"),
    "crlf.csv": b"a,b\r\n1.5,2\r\n4.25,-3\r\n",
    "ends.csv": b"a,b,\n1.5,2,\n4.25,-3,\n",
    "ends_semicolons.csv": b"a;b;\n1,5;2;\n4,25;-3;\n",
    "ends.tsv": b"a\tb\t\n1.5\t2\t\n4.25\t-3\t\n",
}

REFUSED = {
    "thousands.csv": (b"a;b\n1,500;2\n4,250;3\n", "may stand before decimals or between thousands. Set `decimal`"),
    "lost.csv": (b"a,b\n1,5,2\n4,25,-3\n", "a line with 3 and not 2 values.*`separator`, `decimal`"),
    "ends.csv": (b"a,b\n1,2,\n4,-3,\n", "Each line of .* but the first ends in ','.* put one at the end of the first"),
    "ends.tsv": (b"a\tb\n1\t2\t\n4\t-3\t\n", r"Each line of .* but the first ends in '\\t'"),
    "value_at_the_end.csv": (
        b"a,b,\n" + b"1000,2000,\n" * 600_000 + b"3,4,7\n",
        "has a value in its last column, '7', and the column has no name. Name it",
    ),
    "latin.csv": ("ä,b\n1,2\n3,4\n".encode("latin-1"), "is not UTF-8 text: byte 0xe4 in line 1. Set `encoding`"),
    "latin_below.csv": (b"a,b\n1,2\n3,\xe9\n", "is not UTF-8 text: byte 0xe9 in line 3. Set `encoding`"),
    "utf16_without_mark.csv": ("a,b\n1,2\n".encode("utf-16-le"), "NUL bytes.* Set `encoding`, perhaps to utf-16"),
    "bomb.csv.gz": (
        gzip.compress(b"a,b\n" + b"0,0\n" * 30_000_000),
        "holds more than 100 MB. If that is right, set `max_unpacked_mb`",
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_plain_is_read(tmp_path, name):
    (tmp_path / name).write_bytes(PLAIN[name])
    found = reading.read_features(tmp_path / name)
    assert (found.names, found.values.to_pylist()) == (["a", "b"], ROWS)
    assert reading.column_names(tmp_path / name) == ["a", "b"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_is_refused_with_the_key_to_set(tmp_path, name):
    content, message = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        reading.read_features(tmp_path / name)
    assert "\0" not in str(raised.value)


def test_a_header_of_one_column_may_have_a_semicolon(tmp_path):
    path = tmp_path / "one.csv"
    path.write_bytes(b"a;b\n1\n2\n")
    assert reading.read_features(path).names == ["a;b"]


@pytest.mark.parametrize(
    ("content", "given", "expected"),
    [
        ("ä,b\n1,2\n".encode("latin-1"), {"encoding": "latin-1"}, ([[1.0, 2.0]], ["ä", "b"])),
        (b"a;b\n1,500;2\n", {"decimal": ","}, ([[1.5, 2.0]], ["a", "b"])),
        (b"a b\n1 2\n", {"separator": " "}, ([[1.0, 2.0]], ["a", "b"])),
        ("a,b\n1,2\n".encode("utf-16-le"), {"encoding": "utf-16-le"}, ([[1.0, 2.0]], ["a", "b"])),
        (b"a;b\n1,5;2\n", {}, ([[1.5, 2.0]], ["a", "b"])),  # the last line says it, which is not cut
        (b"a;b\n1,500e3;2\n", {}, ([[1500.0, 2.0]], ["a", "b"])),  # no thousands have an exponent
    ],
)
def test_what_is_given_counts(tmp_path, content, given, expected):
    path = tmp_path / "given.csv"
    path.write_bytes(content)
    found = reading.read_features(path, text=given)
    assert (found.values.to_pylist(), found.names) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"separator": ",", "decimal": ","}, "`separator` and `decimal` are both ','. One sign cannot be both"),
        ({"decimal": ","}, "`decimal` is ',', which stands between the values of .*given.csv"),
        ({"separator": ".", "decimal": "."}, "`separator` and `decimal` are both '.'"),
    ],
)
def test_one_sign_is_not_two_things(tmp_path, given, said):
    path = tmp_path / "given.csv"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError, match=said):
        reading.read_features(path, text=given)


def zipped(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("d.csv", content)
    return made.getvalue()


PACKED = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
    "lz4": lambda content: pa.Codec("lz4").compress(content, asbytes=True),
    "zip": zipped,
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("name", ["d.csv", "d.tsv", "d.csv.gz", "d.parquet", "d.feather", "d.npy", "d.npz", "d.h5ad"])
def test_a_packed_file_is_called_one(tmp_path, packing, name):
    path = tmp_path / name
    path.write_bytes(PACKED[packing](b"a,b\n1,2\n" * 100))
    if (packing, path.suffix) in {("gzip", ".gz"), ("zip", ".npz")}:
        packed.check(path)
        return
    remedy = f"Name it {name}.gz" if packing == "gzip" and path.suffix in (".csv", ".tsv") else "Unpack it"
    said = f"^{path} is packed with {packing}.*, and its name does not say so. {remedy}"
    calls = [
        lambda: reading.read_columns(path, None),
        lambda: reading.read_features(path, text={"encoding": "latin-1"}),
    ]
    calls = [lambda: h5ad.read_features(path)] if name == "d.h5ad" else calls
    for call in calls:
        with pytest.raises(InputError, match=said):
            call()


def test_a_packed_table_of_cells_is_called_one(tmp_path):
    (tmp_path / "cells.csv").write_bytes(gzip.compress(b"n_neighbors,min_dist\n5,0.1\n"))
    settings = configuration.complete({"grid": {"table": str(tmp_path / "cells.csv")}})
    with pytest.raises(InputError, match=r"cells\.csv is packed with gzip"):
        grid.cells(settings)


@pytest.mark.parametrize("name", ["BZhang", "PK", "7z", "BZh91AY"])
def test_text_that_begins_like_a_packed_file_is_none(tmp_path, name):
    path = tmp_path / "d.csv"
    path.write_text(f"{name},b\n1.5,2\n")
    assert reading.read_features(path).names == [name, "b"]


def test_an_unknown_encoding_is_said(tmp_path):
    path = tmp_path / "given.csv"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError, match="`encoding` is 'nix', which Python does not know"):
        reading.read_features(path, text={"encoding": "nix"})


def test_what_describes_rows_is_read_alike(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("id;größe;ort\nx;1,5;Köln\ny;2;Ulm\n".encode("cp1252"))
    found = reading.read_columns(path, "id", ["größe", "ort"], text={"encoding": "cp1252"})
    assert found.ids.to_pylist() == ["x", "y"]
    assert found.others["größe"].to_pylist() == [1.5, 2.0]
    assert found.others["ort"].to_pylist() == ["Köln", "Ulm"]


def test_a_large_packed_file_may_be_allowed(tmp_path):
    path = tmp_path / "zeros.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"0,0\n" * 300_000))
    with pytest.raises(InputError, match="holds more than 1 MB"):
        reading.read_features(path, text={"max_unpacked_mb": 1})
    assert len(reading.read_features(path, text={"max_unpacked_mb": 2}).values) == 300_000
