"""Take over results that were moved without their times, as far as their records prove what they are."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from umap_sweep import lineage, store
from umap_sweep.errors import InputError

# How many seconds older a file is made that nothing proves, so that it is made again.
EARLIER = 3600.0


def unproven(path: str | Path, reads: Mapping[str, Mapping[str, Any]], proven: Mapping[str, str]) -> str | None:
    """Return in words why a file cannot be taken for what its path says; None where its record proves it.

    Parameters
    ----------
    path : str or Path
    reads : mapping
        What each stage is made with; see `umap_sweep.lineage.check`.
    proven : mapping of str to str
        The fingerprint of each file that is proven, by its place.
    """
    try:
        lineage.check([path], reads)
        record = store.read_record(path)
        for place, used in record["inputs"].items():
            if proven.get(place) != used:
                return f"{path} was made from another {place}, or from one that is not proven"
        store.check_values(path, record, store.read(path))
    except InputError as error:
        return str(error)
    return None


def is_cost(path: Path) -> bool:
    """Return whether a file says what a layout took, which no record proves and no result depends on."""
    try:
        cost = json.loads(path.read_text(encoding="utf-8"))
        return all(isinstance(cost[name], int | float) for name in ("layout_seconds", "layout_memory_mb", "cells"))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def take_over(
    files: Sequence[Mapping[str, str | None]],
    reads: Mapping[str, Mapping[str, Any]],
    features_are_stored: Sequence[bool],
    benchmarks: Sequence[str | Path],
) -> list[str]:
    """Give files times by which Snakemake sees no reason to make the proven ones anew, and one to make the others.

    Parameters
    ----------
    files : sequence of mapping of path to path
        Of each data set the files of the stages, each after those that it is made from; and beside a layout, what says
        what it took.
    reads : mapping
        What each stage is made with; see `umap_sweep.lineage.check`.
    features_are_stored : sequence of bool
        Of each data set, whether the stored features are those that the configured source has.
    benchmarks : sequence of path
        The folders of what Snakemake measured of each job, which it counts among the job's results.

    Returns
    -------
    list of str
        What there is to say.
    """
    now = time.time()
    refused: list[str] = []
    there = 0
    for of_data_set, are_stored in zip(files, features_are_stored, strict=True):
        proven: dict[str, str] = {}
        for path in [path for path in of_data_set if Path(path).exists()]:
            there += 1
            record_is_of_data = store.place_of(path) == "data/data.parquet"
            reason = None if not record_is_of_data or are_stored else f"{path} has other features than its source"
            reason = reason or unproven(path, reads, proven)
            beside = of_data_set[path]
            if reason is None and beside is not None and not is_cost(Path(beside)):
                reason = f"{beside} is missing or damaged"
            if reason is None:
                proven[store.place_of(path)] = store.read_record(path)["fingerprint"]
            else:
                refused.append(reason)
            for one in (path, beside):
                if one is not None and Path(one).exists():
                    at = now if reason is None else now - EARLIER
                    os.utime(one, (at, at))
    for measured in [path for folder in benchmarks for path in Path(folder).rglob("*.tsv")]:
        os.utime(measured, (now, now))
    lines = [f"{there - len(refused)} of {there} files of the stages are proven by their records, and stay."]
    if refused:
        lines.append(f"The next run makes the others again; the first because: {refused[0]}")
    lines.append("Rows, tables, figures and the atlas are made again too, in seconds.")
    return lines


def run(
    files: Sequence[Mapping[str, str | None]],
    reads: Mapping[str, Mapping[str, Any]],
    features_are_stored: Sequence[bool],
    benchmarks: Sequence[str | Path],
) -> None:
    """Take over and say so; see `take_over`."""
    for line in take_over(files, reads, features_are_stored, benchmarks):
        print(f"umap-sweep: {line}", flush=True)
