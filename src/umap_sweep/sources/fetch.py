"""Fetch a data set and store it as one checked table: `id`, `label` where there is one, and `features`.

Every source ends in the same table; see `umap_sweep.sources.data_table`.
"""

import hashlib
import http.client
import logging
import socket
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
from umap_sweep.sources import data_table, reading

# Seconds without a byte after which a server counts as gone.
TIMEOUT = 30

_NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    socket.gaierror,
    ConnectionError,
    TimeoutError,
    EOFError,
)


def fetch(source: Mapping[str, Any], path: str | Path | None, download: str | Path) -> tuple[pa.Table, list[str]]:
    """Return the data set of a source and the names of its features.

    Parameters
    ----------
    source : mapping
        One of the configuration's sources, valid by its schema.
    path : str or Path or None
        The file of sources `file` and `anndata`; other sources have none.
    download : str or Path
        Folder that keeps the raw downloads: a file that is there already, and is right, is not fetched again.

    Returns
    -------
    table : pyarrow.Table
        Columns `id`, `label` (where there is one) and `features` (fixed_size_list<float32>).
    names : list of str
        One name for each feature.

    Raises
    ------
    InputError
        Where the data cannot be had, or is not what the source says.
    """
    given = {key: value for key, value in source.items() if key != "source"}
    match source["source"]:
        case "sklearn":
            return sklearn_data(**given)
        case "tutorial_blobs":
            return tutorial_blobs(**given)
        case "openml":
            return openml_data(**given, download=download)
        case "url":
            path = download_file(given["url"], given["sha256"], download)
    assert path is not None  # the sources that are left, file and anndata, have one
    if "sha256" in given and source["source"] != "url":
        check_sha256(path, given["sha256"], path)
    if source["source"] == "anndata":
        from umap_sweep.sources import h5ad

        return h5ad.read(path, given.get("layer"), given.get("obsm"), given.get("id"), given.get("label"))
    return reading.read_file(path, given.get("id"), given.get("label"), given.get("features"))


def sklearn_data(name: str) -> tuple[pa.Table, list[str]]:
    """Return one of scikit-learn's own data sets.

    Parameters
    ----------
    name : {'breast_cancer', 'diabetes', 'digits', 'iris', 'wine'}

    Returns
    -------
    table : pyarrow.Table
        The label is the class's name where classes have names, otherwise the target: int64 or float64.
    names : list of str
        The features' names.
    """
    import sklearn.datasets

    data = getattr(sklearn.datasets, f"load_{name}")()
    classes = data.get("target_names")
    named = classes is not None and classes.dtype.kind == "U"
    names = [str(feature) for feature in data.feature_names]
    labels = classes[data.target] if named else data.target
    return data_table.matrix_table(data.data, name, names=names, labels=labels), names


def tutorial_blobs(seed: int = 42, rows: int = 1700, dimensions: int = 60) -> tuple[pa.Table, list[str]]:
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
    table : pyarrow.Table
        3 × `rows` rows; the label is 1, 2 or 3, by copy.
    names : list of str
        The features' numbers from 0.
    """
    cloud = np.random.RandomState(seed).rand(rows, dimensions)
    matrix = np.concatenate((cloud + 20, cloud, cloud - 20))
    names = data_table.numbered(dimensions)
    return data_table.matrix_table(matrix, "tutorial_blobs", names=names, labels=np.repeat([1, 2, 3], rows)), names


def openml_data(name: str, version: int, download: str | Path) -> tuple[pa.Table, list[str]]:
    """Return a data set of OpenML; its target becomes the label.

    Parameters
    ----------
    name : str
    version : int
    download : str or Path
        Folder that scikit-learn keeps what it downloads in.

    Returns
    -------
    table : pyarrow.Table
        See `umap_sweep.sources.data_table`.
    names : list of str
        The features' names.

    Raises
    ------
    InputError
        Without a network, where OpenML has no such data set, and where it is no table of numbers.
    """
    from sklearn.datasets import fetch_openml

    origin = f"OpenML's data set {name!r}, version {version},"
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
    return data_table.frame_table(features, target, origin)


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

    name = Path(unquote(urlsplit(url).path)).name
    reading.suffix_of(name, url)  # refuses an unknown format before a long download, not after it
    transfer = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT, chunk_size=2**20)

    def transfer_and_check(url: str, part: str, retriever: Any) -> None:
        transfer(url, part, retriever)
        check_sha256(part, sha256, url)

    try:
        kept = pooch.retrieve(
            url, known_hash=sha256, fname=f"{sha256[:16]}-{name}", path=download, downloader=transfer_and_check
        )
    except requests.HTTPError as error:
        answer = f"{error.response.status_code} {error.response.reason}"
        raise InputError(f"{url} could not be downloaded: the server answers {answer!r}. Check `url`.") from error
    except (requests.RequestException, *_NETWORK_ERRORS) as error:
        raise InputError(
            f"{url} could not be downloaded whole ({error}). Check `url` and the connection and run again, "
            "or get the file another way and use `source: file`."
        ) from error
    return Path(kept)


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
    reading.check_exists(path)
    with open(path, "rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != expected:
        raise InputError(
            f"{origin} has the SHA-256 {found}, and the configuration asks for {expected}. "
            "Get the right file again, or set `sha256` to the new value if the file was changed on purpose."
        )


def compute(
    dataset: str, source: Mapping[str, Any], path: str | Path | None, download: str | Path | None, out: str | Path
) -> None:
    """Fetch a data set and store it.

    Parameters
    ----------
    dataset : str
        Its name in the configuration.
    source, path
        As for `fetch`.
    download : str or Path or None
        Folder for raw downloads, kept; beside `out` where it is not given.
    out : str or Path
        Receives the table; its record holds the number of rows and the names of the features.

    Raises
    ------
    InputError
        As for `fetch`.
    """
    socket.setdefaulttimeout(TIMEOUT)  # scikit-learn's client of OpenML sets none
    table, names = fetch(source, path, download or Path(out).with_name("download"))
    record = store.make_record(
        "data",
        key={"dataset": dataset, "source": dict(source)},
        values=store.fingerprint(table),
        rows=table.num_rows,
        dimensions=len(names),
        feature_names=names,
    )
    store.write(out, table, record, dictionary=["label"] if "label" in table.column_names else False)
    logging.getLogger("umap_sweep").info("%s: %d rows, %d features", dataset, table.num_rows, len(names))
