"""How large the work of a job is, from the files that it reads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pyarrow import ArrowException, parquet

from umap_sweep.cells.groups import Cells
from umap_sweep.planning.resources import Size
from umap_sweep.quality.measures import compared_rows

# The inputs by which a job's size is told; where there are several files, by the first.
SIZED_BY = ("data", "knn", "embedding", "embeddings", "sweep")


def job_size(
    files: Mapping[str, Sequence[str]],
    wildcards: Mapping[str, str],
    cells: Cells,
    neighbors: str,
    metrics: Mapping[str, Any],
) -> Size:
    """Return what a job works on.

    A cluster that takes a rule's jobs as one array gives all of them what the first asks for, and which one that is, is
    left to chance: so each asks for what the widest of the sweep takes.

    Parameters
    ----------
    files : mapping of str to sequence of path
        The job's input.
    wildcards : mapping of str to str
        The job's wildcards.
    cells : Cells
        Of the sweep.
    neighbors : str
        The column of the cells that tells how many neighbours the job looks at: `knn_k` or `n_neighbors`.
    metrics : mapping
        The configuration's section `metrics`.
    """
    sizes = {
        name: stored_size(paths[0], os.stat(paths[0]).st_mtime_ns)
        for name, paths in files.items()
        if paths and name in (*SIZED_BY, "edges")
    }
    rows, dimensions = next((sizes[name] for name in SIZED_BY if name in sizes), (0, 0))
    own = {name: int(wildcards[name]) for name in cells.widest if name in wildcards}
    widest = {name: max(width, cells.widest[name]) for name, width in own.items()}
    return Size(
        rows=rows,
        dimensions=dimensions,
        neighbors=widest.get(neighbors, 0),
        # Of more neighbours (the row itself is one) more are mutual, so that there are fewer edges for each of them.
        edges=sizes.get("edges", (0, 0))[0] * (widest.get("n_neighbors", 2) - 1) // (own.get("n_neighbors", 2) - 1),
        points=rows * len(files.get("embeddings", [""])),
        compared=compared_rows(rows, metrics["full_up_to"], metrics["sample"]),
    )


@cache
def stored_size(path: str, changed: int) -> tuple[int, int]:
    """Return how many rows and dimensions a stored table has.

    Parameters
    ----------
    path : str
    changed : int
        When the file was changed last: another time is another table.

    Returns
    -------
    rows, dimensions : int
        No dimensions where the table is no data set; no rows where it cannot be read, of which the job itself speaks.
    """
    try:
        metadata = parquet.read_metadata(path)
    except (ArrowException, OSError):
        return 0, 0
    schema = metadata.schema.to_arrow_schema()
    return metadata.num_rows, schema.field("features").type.list_size if "features" in schema.names else 0
