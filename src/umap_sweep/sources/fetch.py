"""Fetch the features of a data set and store them as one checked table; see `umap_sweep.sources.data_table`.

What names and describes its rows is stored beside them, by `umap_sweep.sources.rows`, so that it may change alone.
"""

import hashlib
import http.client
import logging
import socket
import sys
import urllib.error
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.csv

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.sources import data_table, members, permuted, reading, subset, text_format

# Seconds without a byte after which a server counts as gone.
TIMEOUT = 30

# What of each source its features depend on; the rest names and describes rows.
OWN_KEYS = {
    "sklearn": ("source", "name"),
    "tutorial_blobs": ("source", "seed", "rows", "dimensions"),
    "openml": ("source", "name", "version"),
    "url": ("source", "sha256", "member", "features", "exclude", "missing", *text_format.KEYS),
    "file": ("source", "sha256", "features", "exclude", "missing", *text_format.KEYS),
    "anndata": ("source", "layer", "obsm", "sha256", "missing"),
    "subset": ("source", "of", "where", "ids", "sample"),
    "permuted": ("source", "of", "seed"),
    "subsample": ("source", "of", "seed"),
}

# Those that are made from the features of another data set, whatever describes its rows.
OF_FEATURES = ("permuted", "subsample")

_NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    socket.gaierror,
    ConnectionError,
    TimeoutError,
    EOFError,
)


def fetch(
    source: Mapping[str, Any], path: reading.Files | None, download: str | Path, parent: subset.Parent | None = None
) -> data_table.Features:
    """Return the features of a source.

    Parameters
    ----------
    source : mapping
        One of the configuration's sources, valid by its schema.
    path : str or Path, or sequence of them, or None
        The file of sources `file` and `anndata`, or several that are one table; other sources have none.
    download : str or Path
        Folder that keeps the raw downloads: a file that is there already, and is right, is not fetched again.
    parent : mapping of str to path, optional
        The stored files of the data set that a subset, or permuted data, is of.

    Raises
    ------
    InputError
        Where the data cannot be had, or is not what the source says.
    """
    given = {key: value for key, value in source.items() if key in OWN_KEYS[source["source"]] and key != "source"}
    match source["source"]:
        case "sklearn":
            return sklearn_data(**given)
        case "tutorial_blobs":
            return tutorial_blobs(**given)
        case "openml":
            return openml_data(**given, download=download)
        case "url":
            path = file_of_url(source, download)
        case "subset":
            assert parent is not None  # every subset has one
            return subset.read_features(source, parent)
        case "permuted":
            assert parent is not None  # likewise
            return permuted.read_features(source, parent)
        case "subsample":
            assert parent is not None  # likewise
            return subset.read_subsample(source, parent)
    assert path is not None  # the sources that are left, file and anndata, have one
    check_pinned(source, path)
    missing = source.get("missing", "refuse")
    if source["source"] == "anndata":
        from umap_sweep.sources import h5ad

        return h5ad.read_features(reading.files_of(path)[0], source.get("layer"), source.get("obsm"), missing)
    return reading.read_features(
        path, beside(source), source.get("features"), source.get("exclude", []), missing, source
    )


def beside(source: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the columns of a source that are no features, by the key that names them."""
    named = {key: [source[key]] for key in ("id", "label") if key in source}
    own = [name for name in source.get("annotations", []) if isinstance(name, str)]
    return named | ({"annotations": own} if own else {})


def sklearn_data(name: str) -> data_table.Features:
    """Return one of scikit-learn's own data sets.

    Parameters
    ----------
    name : {'breast_cancer', 'diabetes', 'digits', 'iris', 'wine'}

    Returns
    -------
    data_table.Features
        The label is the class's name where classes have names, otherwise the target: int64 or float64.
    """
    import sklearn.datasets

    data = getattr(sklearn.datasets, f"load_{name}")()
    classes = data.get("target_names")
    named = classes is not None and classes.dtype.kind == "U"
    names = [str(feature) for feature in data.feature_names]
    labels = classes[data.target] if named else data.target
    return data_table.matrix_features(data.data, name, names, label=labels)


def tutorial_blobs(seed: int = 42, rows: int = 1700, dimensions: int = 60) -> data_table.Features:
    """Return the synthetic data of umap-learn's tutorial "Precomputed k-nn": three copies of one uniform cloud.

    The tutorial draws from numpy's global generator without a seed; here the generator has one.

    Parameters
    ----------
    seed : int
        Seed of `numpy.random.RandomState`.
    rows : int
        Rows of each copy.
    dimensions : int
        Number of features.

    Returns
    -------
    data_table.Features
        3 × `rows` rows; the label is 1, 2 or 3, by copy. The features' names are their numbers from 0.
    """
    cloud = np.random.RandomState(seed).rand(rows, dimensions)
    matrix = np.concatenate((cloud + 20, cloud, cloud - 20))
    labels = np.repeat([1, 2, 3], rows)
    return data_table.matrix_features(matrix, "tutorial_blobs", data_table.numbered(dimensions), label=labels)


def openml_data(name: str, version: int, download: str | Path) -> data_table.Features:
    """Return a data set of OpenML; its target is the label.

    Parameters
    ----------
    name : str
    version : int
    download : str or Path
        Folder that scikit-learn keeps what it downloads in.

    Raises
    ------
    InputError
        Without a network, where OpenML has no such data set, and where it is no table of numbers.
    """
    from sklearn.datasets import fetch_openml

    origin = f"OpenML's data set {name!r}, version {version},"
    print(f"umap-sweep: {origin} is read, and downloaded where it is not there yet.", file=sys.stderr, flush=True)
    try:
        data = fetch_openml(name=name, version=version, data_home=str(download), as_frame=True)
    except _NETWORK_ERRORS as error:
        raise InputError(
            f"{origin} could not be downloaded ({error}). Check the connection and run again, "
            "or get the data another way and use `source: file`."
        ) from error
    except ValueError as error:
        raise InputError(
            f"{origin} cannot be used ({error}). Mend `name` and `version`, or get the data another way "
            "and use `source: file`."
        ) from error
    features, target = data["data"], data["target"]
    del data  # it holds a second copy of every value
    return data_table.frame_features(features, target, origin)


def file_of_url(source: Mapping[str, Any], download: str | Path) -> Path:
    """Return the file of a source `url`: what is downloaded, or one file of an archive.

    Parameters
    ----------
    source : mapping
        With `url` and `sha256`, and where given `member` and `max_unpacked_mb`.
    download : str or Path
        Folder that both are kept in.

    Raises
    ------
    InputError
        See `download_file` and `members.unpack`.
    """
    member = source.get("member")
    if not members.is_archive(kept_file(source["url"], source["sha256"], download).name):
        if member is not None:
            raise InputError(f"`member` is {member!r}, and {source['url']} is no .zip. Leave it out.")
        return download_file(source["url"], source["sha256"], download)
    if member is not None:
        reading.suffix_of(member, member)
    archive = download_file(source["url"], source["sha256"], download)
    return members.unpack(archive, member, source.get("max_unpacked_mb"), download)


def download_file(url: str, sha256: str, download: str | Path) -> Path:
    """Return the downloaded file of a URL; it is fetched only where it is not there already.

    Parameters
    ----------
    url : str
        http or https. The last part of its path is the file's name.
    sha256 : str
        Of the file. It is part of the name that the file is kept under, so that files of one name do not collide.
    download : str or Path
        Folder that the file is kept in. The file appears there whole and right, or not at all.

    Returns
    -------
    Path
        The file as it is kept.

    Raises
    ------
    InputError
        For an unknown format, where the server does not answer or refuses, where the download breaks off, and for
        another SHA-256.
    """
    import pooch
    import requests

    kept_as = kept_file(url, sha256, download)
    if not members.is_archive(kept_as.name):
        reading.suffix_of(kept_as.name, url)  # refuses an unknown format before a long download, not after it
    transfer = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT, chunk_size=2**20)

    def transfer_and_check(url: str, part: str, retriever: Any) -> None:
        transfer(url, part, retriever)
        check_sha256(part, sha256, url)

    try:
        kept = pooch.retrieve(url, known_hash=sha256, fname=kept_as.name, path=download, downloader=transfer_and_check)
    except requests.HTTPError as error:
        answer = f"{error.response.status_code} {error.response.reason}"
        raise InputError(f"{url} could not be downloaded: the server answers {answer!r}. Check `url`.") from error
    except (requests.RequestException, *_NETWORK_ERRORS) as error:
        raise InputError(
            f"{url} could not be downloaded whole ({error}). Check `url` and the connection and run again, "
            "or get the file another way and use `source: file`."
        ) from error
    return Path(kept)


def kept_file(url: str, sha256: str, download: str | Path) -> Path:
    """Return where the file of a URL is kept once it is downloaded; see `download_file`."""
    return Path(download) / f"{sha256[:16]}-{Path(unquote(urlsplit(url).path)).name}"


def check_pinned(source: Mapping[str, Any], path: reading.Files) -> None:
    """Raise an `InputError` where a file of the user's is another than its source says by `sha256`."""
    if "sha256" not in source or source["source"] == "url":
        return
    files = reading.files_of(path)
    if files[1:]:
        raise InputError(f"`sha256` is of one file, and `path` names {len(files)}. Leave it out, or join the files.")
    check_sha256(files[0], source["sha256"], files[0])


def check_sha256(path: str | Path, expected: str, origin: str | Path) -> None:
    """Check a file's SHA-256, reading it in pieces.

    Parameters
    ----------
    path : str or Path
    expected : str
        64 hexadecimal digits.
    origin : str or Path
        What messages call the file.

    Raises
    ------
    InputError
        Where the file is missing or has another SHA-256.
    """
    reading.check_there(path)  # what is downloaded has not its own name yet, which may say how it is packed
    with open(path, "rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != expected:
        raise InputError(
            f"{origin} has the SHA-256 {found}, and the configuration asks for {expected}. "
            "Get the right file again, or set `sha256` to the new value if the file was changed on purpose."
        )


def compute(
    dataset: str,
    source: Mapping[str, Any],
    path: reading.Files | None,
    download: str | Path | None,
    out: str | Path,
    parent: subset.Parent | None = None,
) -> None:
    """Fetch the features of a data set and store them.

    Parameters
    ----------
    dataset : str
        Its name in the configuration.
    source, path, parent
        As for `fetch`.
    download : str or Path or None
        Folder for raw downloads, kept; beside `out` where it is not given.
    out : str or Path
        Receives the table of `data_table.Features`. Its record holds the numbers of rows and of those that the source
        has, the names of the features, how many values were missing in which of them, how many whole numbers were
        rounded, which columns were left out because they are not numeric, and the `origin`: what of the source they
        depend on. The fingerprint is that of the features alone.

    Raises
    ------
    InputError
        As for `fetch`.
    """
    socket.setdefaulttimeout(TIMEOUT)  # scikit-learn's client of OpenML sets none
    logger = logging.getLogger("umap_sweep")
    # Before it is read, so that a file that changes meanwhile counts as changed.
    read_from = origin(source, path, parent)
    features = fetch(source, path, download or Path(out).with_name("download"), parent)
    table = features.table()
    record = store.make_record(
        "data",
        key={"dataset": dataset},
        values=fingerprint(features),
        rows=table.num_rows,
        source_rows=features.source_rows or table.num_rows,
        dimensions=len(features.names),
        feature_names=features.names,
        missing=features.missing,
        rounded=features.rounded,
        not_numeric=[[name, value] for name, value in features.not_numeric.items()],
        origin=read_from,
    )
    store.write(out, table, record, dictionary=["label"] if "label" in table.column_names else False)
    logger.info(
        "%s: %d rows, %d features: %s", dataset, table.num_rows, len(features.names), data_table.listed(features.names)
    )
    if features.not_numeric:
        left = ", ".join(f"{name!r} ({value})" if value else repr(name) for name, value in features.not_numeric.items())
        logger.info("%s: left out, because not numeric: %s", dataset, left)
    if features.missing:
        left_out = (features.source_rows or table.num_rows) - table.num_rows
        became = f"{left_out} rows are left out" if left_out else "medians stand for them"
        counts = ", ".join(f"{count} in {name!r}" for name, count in features.missing.items())
        logger.warning("%s: values are missing, and %s: %s", dataset, became, counts)
    if features.rounded:
        counts = ", ".join(f"{count} in {name!r}" for name, count in features.rounded.items())
        logger.warning("%s: whole numbers beyond 2^24 are rounded to float32: %s", dataset, counts)


def fingerprint(features: data_table.Features) -> str:
    """Return the fingerprint that a stored data set has: that of its features alone."""
    return store.fingerprint(pa.table({"features": features.values}))


def is_stored(features: data_table.Features, data: str | Path) -> bool:
    """Return whether these are the features of a stored data set: the same values, names and rows of the source."""
    record = store.read_record(data)
    if fingerprint(features) != record["fingerprint"] or features.names != record["feature_names"]:
        return False
    if features.rows is None or "row" not in store.column_names(data):
        return features.rows is None and "row" not in store.column_names(data)
    return np.array_equal(features.rows, store.numbers(store.read(data, ["row"]).column("row")))


def origin(
    source: Mapping[str, Any], path: reading.Files | None, parent: subset.Parent | None = None
) -> dict[str, Any]:
    """Return what of a source its features depend on, by which a change is noticed without reading it.

    Parameters
    ----------
    source : mapping
        One of the configuration's sources.
    path : str or Path, or sequence of them, or None
        Its file, where it has one of the user's, or its files.
    parent : mapping of str to path, optional
        The stored files of the data set that a subset, or permuted data, is of; they may be missing.

    Returns
    -------
    dict
        `settings`: the part of the source that decides which features it has. Where they are all columns but those with
        another use, the names of these are part of it. `file`: size in bytes, and when it was changed, in nanoseconds;
        not where the source has no file, or its content is pinned. Its path is no part of it, as a file may be moved.
        `files`: a list of the same of several, in their order.
        `parent`: the fingerprints of these files; where the source is one of `OF_FEATURES`, that of the features alone.
    """
    settings = {key: value for key, value in source.items() if key in OWN_KEYS[source["source"]]}
    if source["source"] in ("file", "url") and (settings.get("features") in (None, "numeric")):
        settings["beside"] = sorted({name for names in beside(source).values() for name in names})
    found: dict[str, Any] = {"settings": settings}
    files = [] if path is None or "sha256" in source else reading.files_of(path)
    if files and all(one.exists() for one in files):
        status = [{"size": one.stat().st_size, "modified": one.stat().st_mtime_ns} for one in files]
        found |= {"files": status} if status[1:] else {"file": status[0]}
    if parent is not None:
        names = ("data",) if source["source"] in OF_FEATURES else tuple(parent)
        stored = {name: Path(parent[name]) for name in names if Path(parent[name]).exists()}
        found["parent"] = {name: store.read_record(file)["fingerprint"] for name, file in stored.items()}
    return found
