"""Join the timed arms into one table, and say in a sentence what it shows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.stages.umap_learn import SMALL_DATA

# The names of the arms for readers, in the order in which they are shown.
ARMS = {
    "plain_seeded": "plain, seeded",
    "plain_parallel": "plain, parallel",
    "shared_parallel": "shared k-NN, parallel",
    "shared_seeded": "shared k-NN, seeded",
    "pipeline": "umap-sweep, seeded",
    "pipeline_warm": "umap-sweep, warm cache",
}


def seconds_text(seconds: float) -> str:
    """Return seconds as text: with one decimal below 100, as a whole number from there on."""
    return f"{seconds:.1f}" if seconds < 99.95 else f"{seconds:,.0f}"


def sentence(totals: pd.Series) -> str:
    """Say how many times as long as this pipeline umap-learn took.

    Parameters
    ----------
    totals : pandas.Series
        Seconds by arm. Where the pipeline is not among the arms, the others are compared with the fastest.
    """
    if "pipeline" in totals:
        bases = totals[["pipeline", "pipeline_warm"]].to_list()
        cold, warm = map(seconds_text, bases)
        says = f"umap-sweep took {cold} s from an empty compile cache and {warm} s from a warm one"
        compared = "; umap-learn took, as multiples of the two, "
    else:
        fastest = str(totals.idxmin())
        bases = [totals[fastest]]
        says = f"umap-learn took {seconds_text(totals[fastest])} s with the arm {ARMS[fastest]}"
        compared = "; as multiples of that, "
    others = [arm for arm in totals.index if totals[arm] not in bases]
    ratios = [f"{' and '.join(f'{totals[arm] / base:.2f}' for base in bases)} ({ARMS[arm]})" for arm in others]
    says += (compared + ", ".join(ratios) if ratios else "") + "."
    for kind, seed in (("parallel", "without a seed"), ("seeded", "with a seed")):
        plain, shared = totals.get(f"plain_{kind}"), totals.get(f"shared_{kind}")
        if plain and shared:
            says += f" Sharing the k-NN alone divided umap-learn's time {seed} by {plain / shared:.2f}."
    return says


def notes(rows: int, method: str, table: pd.DataFrame) -> list[str]:
    """Return what a reader of the table must know to judge it.

    Parameters
    ----------
    rows : int
        Of the data.
    method : str
        The configuration's `knn.method`.
    table : pandas.DataFrame
        The rows of all arms, from `umap_sweep.timing.arms`.
    """
    result = []
    learns = table[~table["arm"].str.startswith("pipeline")]
    if learns["sampled"].any():
        row = learns[learns["sampled"]].iloc[0]
        result.append(
            f"Sampled: {row.fits} of {row.cells} cells stand for all in umap-learn's arms; "
            f"their fits are scaled, a shared k-NN and compilation count once."
        )
    if rows < SMALL_DATA and learns["arm"].str.startswith("shared_").any():
        result.append(
            f"Below {SMALL_DATA:,} rows umap-learn does not prune a shared k-NN, and makes every graph of all of it; "
            f"a plain fit compares all pairs."
        )
    if method == "plain" and len(learns) != len(table):
        result.append("knn.method is plain: the pipeline computes a k-NN for each cell, too.")
    if method == "exact" and rows >= SMALL_DATA:
        result.append("knn.method is exact: the pipeline compares all pairs; umap-learn's arms approximate.")
    return result


def join(arms: Sequence[str | Path], out: str | Path, csv_out: str | Path) -> None:
    """Write all arms into one table.

    Parameters
    ----------
    arms : sequence of path
        From `umap_sweep.timing.arms`.
    out : path
        Receives the rows of all arms, in the order of `ARMS`; `sentence` and `notes` are in the record.
    csv_out : path
        Receives the same rows as CSV.

    Raises
    ------
    InputError
        Where the arms were timed with different data, numbers of cores, grids, machines or packages.
    """
    records = [store.read_record(path) for path in arms]
    must_agree: dict[str, Callable[[dict[str, Any]], Any]] = {
        "data": lambda record: record["inputs"],
        "number of cores": lambda record: record["threads"],
        "grid": lambda record: record["key"]["cells"],
        "machine or set of packages": lambda record: record["environment"],
    }
    for name, of_record in must_agree.items():
        for path, record in zip(arms, records, strict=True):
            if of_record(record) != of_record(records[0]):
                raise InputError(
                    f"{path} was timed with another {name} than {arms[0]}, and cannot be compared with it. "
                    f"Delete {Path(arms[0]).parent} and run again."
                )
    table = pa.concat_tables([store.read(path).replace_schema_metadata(None) for path in arms]).to_pandas()
    table = table.sort_values("arm", key=lambda column: column.map(list(ARMS).index), kind="stable", ignore_index=True)
    key = {"settings": records[0]["key"]["settings"], "cells": records[0]["key"]["cells"]}
    also: dict[str, Any] = {name: records[0][name] for name in ("rows", "dimensions", "threads")}
    also["sentence"] = sentence(table.groupby("arm", sort=False)["seconds"].sum())
    also["notes"] = notes(also["rows"], key["settings"]["knn"]["method"], table)
    stored = pa.Table.from_pandas(table, preserve_index=False)
    store.write(
        out, stored, store.make_record("join_timing", key, store.fingerprint(stored), records[0]["inputs"], **also)
    )
    store.write_csv(csv_out, stored)
