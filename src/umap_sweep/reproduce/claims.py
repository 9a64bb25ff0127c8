"""Print which claims on the reproducibility of UMAP hold on this machine, and fail where one does not."""

import logging
from pathlib import Path

import pandas as pd

from umap_sweep import store
from umap_sweep.errors import InputError


def report(rows: pd.DataFrame) -> list[str]:
    """Return the table of claims for the terminal: a line for each claim, at most 100 columns wide.

    Parameters
    ----------
    rows : pandas.DataFrame
        The table of `umap_sweep.reproduce.judge_claims`.
    """
    lines = [f"{'':7}{'expected':11}{'observed':11}statement (who says it)"]
    for row in rows.itertuples():
        verdict = "holds" if row.holds else "FAILS"
        lines.append(f"{verdict:7}{row.expected:11}{row.observed:11}{row.claim} ({row.source})")
    return lines


def check(rows: pd.DataFrame) -> None:
    """Raise an `InputError` that names the claims that do not hold."""
    failed = rows[~rows["holds"]]
    if len(failed):
        named = "; ".join(f"{row.claim} ({row.observed}, expected {row.expected})" for row in failed.itertuples())
        raise InputError(f"{len(failed)} of {len(rows)} claims did not hold here: {named}.")


def say(claims: str | Path, plot: str | Path, dataset: str) -> None:
    """Print the table, and fail where a claim does not hold.

    Parameters
    ----------
    claims : path
        The table of `umap_sweep.reproduce.judge_claims`.
    plot : path
        The figure of it, named in the last line.
    dataset : str
        Named in the heading.

    Raises
    ------
    InputError
        As `check` does.
    """
    rows, key = store.read(claims).to_pandas(), store.read_record(claims)["key"]
    heading = f"Tried on {dataset}, {key['rows']:,} rows, with n_neighbors {key['n_neighbors']}:"
    lines = [heading, *report(rows), f"Look at {plot}, read {claims}."]
    logging.getLogger("umap_sweep").info("\n".join(lines))
    print("\n".join(lines), flush=True)
    check(rows)
