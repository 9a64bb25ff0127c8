"""The size of what a job works on, from the files that it reads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pyarrow import ArrowException, parquet

from umap_sweep.cells.groups import Cells
from umap_sweep.planning.resources import Size, edges_of
from umap_sweep.quality.measures import compared_rows

# The inputs that tell a job's rows and dimensions: the first of these that it has, and of several files the first.
SIZED_BY = ("data", "knn", "vertices", "layout", "layouts", "neighbors", "rows", "sweep")


def job_size(
    files: Mapping[str, Sequence[str]],
    wildcards: Mapping[str, str],
    cells: Cells,
    neighbors: str,
    metrics: Mapping[str, Any],
    laid_out: int = 1,
    times: int = 1,
    seeds: int = 0,
) -> Size:
    """Return the size of what a job works on.

    A cluster that takes a rule's jobs as one array gives all of them what one of them asks for, and it is left to
    chance which one. So each job asks for what the largest n_neighbors, or k, of the sweep takes.

    Parameters
    ----------
    files : mapping of str to sequence of path
        The job's input.
    wildcards : mapping of str to str
        The job's wildcards.
    cells : Cells
        Of the sweep.
    neighbors : str
        The column of the cells that tells how many neighbours of each row the job looks at: `knn_k` or `n_neighbors`.
    metrics : mapping
        The configuration's section `metrics`.
    laid_out : int
        How many cells a layout job takes.
    times : int
        How often the job goes through each layout that it reads.
    seeds : int
        How many a setting has, of a job that compares settings; 0 of all other jobs.
    """
    sizes = {
        name: stored_size(paths[0], os.stat(paths[0]).st_mtime_ns)
        for name, paths in files.items()
        if paths and name in (*SIZED_BY, "edges")
    }
    rows, dimensions = next((sizes[name] for name in SIZED_BY if name in sizes), (0, 0))
    own = {name: int(wildcards[name]) for name in cells.widest if name in wildcards}
    widest = {name: max(width, cells.widest[name]) for name, width in own.items()}
    contributions = dict.fromkeys(files["contributions"]) if seeds else ()
    return Size(
        rows=rows,
        dimensions=dimensions,
        neighbors=widest.get(neighbors, 0),
        # As many edges as the widest graph can have: with more neighbours, more of them are mutual, so edges grow less
        # than the number of neighbours, the row itself not counted.
        edges=sizes.get("edges", (0, 0))[0] * (widest.get("n_neighbors", 2) - 1) // (own.get("n_neighbors", 2) - 1),
        points=rows * len(files.get("layouts", [""])) * times,
        compared=compared_rows(rows, metrics["full_up_to"], metrics["sample"]),
        laid_out=laid_out,
        # A row of these tables is a cell.
        measured=sum(stored_size(path, os.stat(path).st_mtime_ns)[0] for path in contributions),
        seeds=seeds or 1,
    )


def expected_size(
    data: str, wildcards: Mapping[str, str], cells: Cells, metrics: Mapping[str, Any], read: int, laid_out: int
) -> Size:
    """Return the size of what a job will work on, whose input need not be there yet; without data it has no rows.

    Parameters
    ----------
    data : path
        The stored features of its data set.
    wildcards, cells, metrics, laid_out
        As in `job_size`.
    read : int
        How many layouts it reads.
    """
    rows, dimensions = stored_size(data, os.stat(data).st_mtime_ns) if os.path.exists(data) else (0, 0)
    widths = [int(wildcards.get(name, cells.widest[name])) for name in ("n_neighbors", "knn_k")]
    neighbors = widths[0] if "n_neighbors" in wildcards else widths[1]
    return Size(
        rows=rows,
        dimensions=dimensions,
        neighbors=neighbors,
        edges=edges_of(rows, widths[0]),
        points=rows * read,
        compared=compared_rows(rows, metrics["full_up_to"], metrics["sample"]),
        laid_out=laid_out,
    )


@cache
def stored_size(path: str, changed: int) -> tuple[int, int]:
    """Return how many rows and dimensions a stored table has.

    Parameters
    ----------
    path : str
    changed : int
        When the file was changed last; after a change the table is read again, not taken from the cache.

    Returns
    -------
    rows, dimensions : int
        Dimensions are 0 where the table is no data set. Both are 0 where it cannot be read, which the job reports.
    """
    try:
        metadata = parquet.read_metadata(path)
    except (ArrowException, OSError):
        return 0, 0
    schema = metadata.schema.to_arrow_schema()
    return metadata.num_rows, schema.field("features").type.list_size if "features" in schema.names else 0
