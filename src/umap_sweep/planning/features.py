"""Whether the stored features of a data set are those that its source has now.

A file changes when a category is renamed in it, and settings change when another column becomes the label. Neither
changes what UMAP sees, and nothing need be computed anew for it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.sources import fetch, reading, rows


def origin_of_stored(
    source: Mapping[str, Any],
    path: reading.Files | None,
    data: str | Path,
    stored_rows: str | Path,
    parent: Mapping[str, str | Path] | None = None,
) -> dict[str, Any] | None:
    """Return the origin of the stored features, where they are those that the source has now; None where they are not.

    As a rule the stored record says so. Where file or settings have changed since, and no one has looked yet, the
    source is read.

    Parameters
    ----------
    source : mapping
        One of the configuration's sources.
    path : str or Path or None
        Its file, where it has one of the user's.
    data, stored_rows : str or Path
        Where the features are stored, and what names their rows; either may be missing.
    parent : mapping of str to path, optional
        The same of the data set that a subset, or permuted data, is of.
    """
    try:
        record = store.read_record(data)
    except InputError:
        return None
    stored: dict[str, Any] = record.get("origin", {})
    now = fetch.origin(source, path, parent)
    if stored == now or _seen_by_rows(stored_rows, now, data, record["fingerprint"]):
        return stored
    if source["source"] == "url":
        path = fetch.kept_file(source["url"], source["sha256"], Path(data).with_name("download"))
    own = [] if path is None else reading.files_of(path)
    files = own if parent is None else list(parent.values())
    if not files or not all(Path(file).exists() for file in files):
        return None
    read_from = reading.called(own) if parent is None else source["of"]
    print(f"umap-sweep: reading {read_from} again, to see whether the features are those stored.", file=sys.stderr)
    try:
        found = fetch.fetch(source, path, Path(data).with_name("download"), parent)
        return stored if fetch.is_stored(found, data) else None
    except InputError:  # the job says it
        return None


def are_described(
    source: Mapping[str, Any],
    path: reading.Files | None,
    stored_rows: str | Path,
    parent: Mapping[str, str | Path] | None = None,
) -> bool:
    """Return whether the stored rows are what the source and the annotation files say now.

    Parameters
    ----------
    source, path, parent
        As for `origin_of_stored`.
    stored_rows : str or Path
        What names and describes the rows; it may be missing.
    """
    try:
        record = store.read_record(stored_rows)
    except InputError:
        return False
    now = fetch.origin(source, path, parent)
    return bool(record.get("origin") == now and record.get("description") == rows.description(source))


def _seen_by_rows(stored_rows: str | Path, now: Mapping[str, Any], data: str | Path, fingerprint: str) -> bool:
    """Return whether the stored rows were read from the source as it is now, and found to be of the stored features."""
    try:
        record = store.read_record(stored_rows)
    except InputError:
        return False
    return bool(record.get("origin") == now and record["inputs"].get(store.place_of(data)) == fingerprint)
