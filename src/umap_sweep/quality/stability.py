"""Join the comparisons of seeds, for every n_neighbors and min_dist, into one tidy table."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from umap_sweep import store
from umap_sweep.quality import tables


def join(pairs: Sequence[str | Path], out: str | Path, csv_out: str | Path) -> None:
    """Write the tables of pairs from `umap_sweep.quality.seed_pairs` as one, one after the other.

    Parameters
    ----------
    pairs : sequence of path
    out, csv_out : path
        Receive the table as Parquet and as CSV.

    Raises
    ------
    InputError
        Where a file is missing or damaged.
    """
    table = pa.concat_tables([store.read(path).replace_schema_metadata(None) for path in pairs])
    tables.write(out, table, "stability", store.inputs_of(*pairs), csv_out=csv_out)
