"""Judge the claims on the reproducibility of UMAP by what two processes have computed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.quality import measures
from umap_sweep.reproduce.claim_runs import LESS_WIDE, OTHER_SEED, SEED, WIDER
from umap_sweep.stages.umap_learn import SMALL_DATA

EQUAL, DIFFERENT = "equal", "different"

# The beginning of claims that hold because umap-learn treats few rows in another way than the tutorial's 5,100.
BELOW = f"below {SMALL_DATA:,} rows: "

# What one process has computed: for each arm, by name, its part of the table of `umap_sweep.reproduce.claim_runs`.
Arms = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Claim:
    """A claim that two arms are equal, or that they differ.

    Attributes
    ----------
    source : str
        Who claims it: `tutorial`; `umap-learn`, by what it does where the tutorial says nothing; or `umap-sweep`.
    expected : str
        `equal` or `different`.
    left, right : str
        The names of the two arms. Where both are the same, all arms of the first process are compared with all arms of
        the second.
    claim : str
        What is compared with what, in words.
    compared : str
        `embedding` or `knn`.
    """

    source: str
    expected: str
    left: str
    right: str
    claim: str
    compared: str = "embedding"


def claims(n_rows: int, n_neighbors: int, whole_numbers: bool) -> list[Claim]:
    """Return the claims, with what is expected for data with this number of rows.

    From 4,096 rows on, umap-learn searches neighbours by seeded NN-descent and prunes a k-NN that is wider than
    n_neighbors. Below, its k-NN is exact, so that it does not depend on a seed, its width or the number of jobs, and
    umap-learn uses all columns of a wide k-NN.

    Parameters
    ----------
    n_rows : int
    n_neighbors : int
        UMAP's.
    whole_numbers : bool
        Whether all features are whole numbers. Two ways to compute a distance can then agree in the last bits, and the
        claim that they differ is left out.
    """
    wide, less = n_neighbors + WIDER, n_neighbors + LESS_WIDE
    large = n_rows >= SMALL_DATA
    searched, says, few, small, of_small = DIFFERENT, "tutorial", "", "sample", "sample, "
    if not large:
        searched, says, few, small, of_small = EQUAL, "umap-learn", BELOW, "reference", ""
    plain, handed_on, other_seed = "plain UMAP", "RandomState handed on", f"{OTHER_SEED} instead of {SEED}"
    whole = "handed over whole, or pruned"
    result = [
        Claim("tutorial", EQUAL, "reference", "once more", "same k-NN seed, same k, same UMAP seed"),
        Claim(says, searched, "reference", f"k = {less}", f"{few}k-NN with k = {less} instead of {wide}"),
        Claim(says, searched, "reference", f"k-NN seed {OTHER_SEED}", f"{few}k-NN seed {other_seed}"),
        Claim("tutorial", DIFFERENT, "reference", f"UMAP seed {OTHER_SEED}", f"UMAP seed {other_seed}"),
        Claim("tutorial", EQUAL, plain, handed_on, "plain UMAP, or its k-NN first and RandomState handed on"),
        Claim(
            "umap-learn", searched, plain, "handed on, two k-NN jobs", f"{few}plain UMAP, or handed on, two k-NN jobs"
        ),
        Claim("umap-learn", searched, "reference", "two k-NN jobs", f"{few}k-NN by two jobs instead of one", "knn"),
    ]
    if large:
        result.append(Claim("tutorial", EQUAL, "reference", "whole k-NN", f"k-NN with k = {wide} {whole}"))
    result.append(Claim("umap-learn", DIFFERENT, small, f"{of_small}whole k-NN", f"{BELOW}k-NN {whole}"))
    if not whole_numbers:
        by_name = f"{BELOW}k-NN by metric's name, or its function"
        result.append(Claim("umap-learn", DIFFERENT, small, f"{of_small}metric's name", by_name, "knn"))
    return [
        *result,
        Claim("umap-learn", EQUAL, plain, "too narrow a k-NN", "k-NN narrower than n_neighbors, or none at all"),
        Claim("umap-learn", DIFFERENT, "reference", "rows reversed", "rows in reverse order"),
        Claim("umap-sweep", EQUAL, "cell", "reference", "a cell of the pipeline, or umap-learn's call on its k-NN"),
        Claim("umap-sweep", EQUAL, "cell", "cell, after all others", "a cell before all others, or after them"),
        Claim("umap-sweep", EQUAL, "cell", "cell, two threads", "a cell on one thread, or on two"),
        Claim("umap-sweep", EQUAL, "reference", "reference", "all of this in a fresh process, in reverse order"),
    ]


def judge(claim: Claim, first: Arms, again: Arms) -> dict[str, Any]:
    """Return the row of the table for one claim.

    Parameters
    ----------
    claim : Claim
    first, again : mapping of str to pandas.DataFrame
        The arms of the two processes, by name.

    Returns
    -------
    dict
        The fields of the claim; `observed` (`equal` or `different`); `holds`; `rows`, their number; `rows_moved`, how
        many have other coordinates; `rows_rewired`, how many have other neighbours or distances, None where a k-NN is
        not known; and `disparity`, from `umap_sweep.quality.measures.disparity`.
    """
    if claim.left == claim.right:
        left, right = pd.concat(list(first.values())), pd.concat([again[name] for name in first])
    else:
        left, right = first[claim.left], first[claim.right]
    places = [frame[["umap_1", "umap_2"]].to_numpy(np.float32) for frame in (left, right)]
    # Compared by their bits, so that NaN, the coordinates of a disconnected row, equals NaN.
    moved = (places[0].view(np.uint32) != places[1].view(np.uint32)).any(axis=1)
    known = left["knn"].notna().to_numpy() & right["knn"].notna().to_numpy()
    rewired = known & (left["knn"].to_numpy() != right["knn"].to_numpy())
    observed = DIFFERENT if (rewired if claim.compared == "knn" else moved).any() else EQUAL
    return {
        **asdict(claim),
        "observed": observed,
        "holds": observed == claim.expected,
        "rows": len(left),
        "rows_moved": int(moved.sum()),
        "rows_rewired": int(rewired.sum()) if known.any() else None,
        "disparity": measures.disparity(*places) if moved.any() else 0.0,
    }


def read_arms(path: str | Path) -> dict[str, pd.DataFrame]:
    """Return the arms that one process has computed, by name."""
    frame = store.read(path).to_pandas()
    return {name: arm.reset_index(drop=True) for name, arm in frame.groupby("arm", sort=False)}


def compute(first: str | Path, again: str | Path, out: str | Path, csv_out: str | Path) -> None:
    """Judge all claims and store the table.

    Parameters
    ----------
    first, again : path
        What the two processes have stored.
    out : path
        Receives one row for each claim; see `judge`.
    csv_out : path
        Receives the same as CSV.

    Raises
    ------
    InputError
        Where the two were not made from the same data.
    """
    records = [store.read_record(path) for path in (first, again)]
    if records[0]["inputs"] != records[1]["inputs"]:
        raise InputError(f"{first} and {again} are of different data. Delete both and run again.")
    arms = read_arms(first), read_arms(again)
    n_rows, n_neighbors = len(arms[0]["reference"]), records[0]["key"]["n_neighbors"]
    rows = pd.DataFrame([judge(claim, *arms) for claim in claims(n_rows, n_neighbors, records[0]["whole_numbers"])])
    rows = rows.astype({"rows_rewired": "Int64"})
    order = ["claim", "expected", "observed", "holds", "source", "compared", "left", "right"]
    table = pa.Table.from_pandas(rows[[*order, *rows.columns.difference(order, sort=False)]], preserve_index=False)
    key = {"n_neighbors": n_neighbors, "rows": n_rows}
    inputs = {"first": records[0]["fingerprint"], "again": records[1]["fingerprint"]}
    store.write(out, table, store.make_record("judge_claims", key, store.fingerprint(table), inputs))
    store.write_csv(csv_out, table)
