"""Read what Snakemake measures of a job."""

import csv
from pathlib import Path


def read(path: str | Path) -> dict[str, str]:
    """Return the measurements of one job, as text, by Snakemake's names: `s` is in seconds, `max_rss` in MiB.

    Parameters
    ----------
    path : path
        The file that a rule names under `benchmark`: tab-separated, a header and one row.
    """
    with Path(path).open(newline="") as file:
        return next(csv.DictReader(file, delimiter="\t"))
