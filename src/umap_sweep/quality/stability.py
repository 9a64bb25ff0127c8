"""Join the pairs of runs of all n_neighbors and min_dist into one tidy table."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from umap_sweep import store


def join(pairs: Sequence[str | Path], out: str | Path, csv_out: str | Path) -> None:
    """Write the tables of `umap_sweep.quality.seed_pairs` as one, in the order of the cells, as Parquet and as CSV."""
    table = pa.concat_tables([store.read(path).replace_schema_metadata(None) for path in pairs])
    inputs = {str(path): store.read_record(path)["fingerprint"] for path in pairs}
    store.write(out, table, store.make_record("stability", {}, store.fingerprint(table), inputs))
    store.write_csv(csv_out, table)
