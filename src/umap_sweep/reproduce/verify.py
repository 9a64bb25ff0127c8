"""Hold what was computed once more against what is stored, stage by stage, and say where they part."""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from umap_sweep import environment, store
from umap_sweep.errors import InputError
from umap_sweep.reproduce.fingerprints import STAGES, name_of

# Neighbours that two embeddings are compared by.
NEIGHBORS = 15

# The code of results that were made before their records held it.
UNKNOWN = "unknown"

COLUMNS = ("against", "stage", "key", "expected", "observed", "equal", "difference", "environment", "code")


def compare(stored: str | Path, recomputed: str | Path) -> dict[str, Any]:
    """Compare one stored stage with the same stage computed once more.

    Parameters
    ----------
    stored, recomputed : path
        An embedding is compared with its layout, which has the coordinates without ids and labels; a data set by its
        features.

    Returns
    -------
    dict
        One row of the table: `COLUMNS`. `expected` is the fingerprint of the stored values, not what the file says
        of itself.
    """
    stage, _, key = name_of(stored).partition("/")
    new, after = store.read(recomputed), store.read_record(recomputed)
    row = {"against": "results", "stage": stage, "key": key, "observed": store.fingerprint_by_record(after, new)}
    try:
        old, before = store.read_as_it_is(stored)
    except InputError as error:
        said = str(error).removesuffix(".")
        return row | {"expected": "", "equal": False, "difference": said, "environment": "", "code": ""}
    row["expected"] = store.fingerprint_by_record(before, old)
    if stage in ("embeddings", "data"):
        old = old.select([name for name in old.column_names if name in new.column_names])
        new = new.select(old.column_names)
    parts = []
    if before["key"] != after["key"]:
        parts.append("another key: " + _changes(before["key"], after["key"]))
    if store.fingerprint(old) != store.fingerprint(new) or row["expected"] != row["observed"]:
        parts.append(difference(stage, old, new))
    return row | {
        "equal": not parts,
        "difference": "; ".join(parts),
        "environment": "" if not parts else _changes(before["environment"], after["environment"]),
        # What joins an embedding from its layout is other code than what lays it out.
        "code": "" if stage == "embeddings" else _other_code([before.get("code", UNKNOWN)], after.get("code", UNKNOWN)),
    }


def _other_code(before: Sequence[str], today: str) -> str:
    """Return in words that something was made by other code than today's; empty where it was not."""
    if today in before:
        return ""
    known = [digest[:12] for digest in before if digest != UNKNOWN]
    return f"made by other code than today's ({' or '.join(known) or 'it is not known which'}; today's is {today[:12]})"


def difference(stage: str, old: pa.Table, new: pa.Table) -> str:
    """Return in words how far two tables of one stage are apart.

    Parameters
    ----------
    stage : str
        One of `STAGES`.
    old, new : pyarrow.Table

    Returns
    -------
    str
        For a k-NN the share of neighbours that differ, for a graph that of edges, for a layout the Procrustes
        disparity (Gower, 1975; `scipy.spatial.procrustes`) and the mean overlap of each row's 15 nearest neighbours.
    """
    if old.num_rows != new.num_rows and stage != "graph":
        return f"{old.num_rows} rows became {new.num_rows}"
    if old.schema.names != new.schema.names:
        return f"columns {', '.join(old.schema.names[:5])} became {', '.join(new.schema.names[:5])}"
    if stage == "knn":
        apart = 1 - np.isin(_neighbor_pairs(old), _neighbor_pairs(new)).mean()
        return f"{apart:.4%} of the neighbours differ, distances by up to {_largest_gap(old, new, 'distance_'):.3g}"
    if stage == "graph" and "head" in old.schema.names:
        apart = 1 - np.isin(_edge_pairs(old), _edge_pairs(new)).mean()
        return f"{apart:.4%} of the edges differ" + (
            f", weights by up to {_largest_gap(old, new, 'weight'):.3g}" if old.num_rows == new.num_rows else ""
        )
    if stage in ("layouts", "embeddings") and not _same(old, new, "umap_"):
        return _pictures_apart(store.matrix(old, "umap_"), store.matrix(new, "umap_"))
    columns = [name for name in old.schema.names if not old.column(name).equals(new.column(name))]
    return f"{_rows_apart(old, new)} of {old.num_rows} rows differ, in {', '.join(columns[:5]) or 'the random numbers'}"


def _same(old: pa.Table, new: pa.Table, prefix: str) -> bool:
    return store.matrix(old, prefix).tobytes() == store.matrix(new, prefix).tobytes()


def _neighbor_pairs(table: pa.Table) -> np.ndarray:
    indices = store.matrix(table, "index_").astype(np.int64)
    return (indices + np.arange(len(indices))[:, None] * len(indices)).ravel()


def _edge_pairs(table: pa.Table) -> np.ndarray:
    head, tail = (store.numbers(table.column(name)).astype(np.int64) for name in ("head", "tail"))
    return head << 32 | tail


def _largest_gap(old: pa.Table, new: pa.Table, prefix: str) -> float:
    gap = np.abs(store.matrix(old, prefix) - store.matrix(new, prefix))
    return float(np.nanmax(gap)) if np.isfinite(gap).any() else float("inf")


def _rows_apart(old: pa.Table, new: pa.Table) -> int:
    apart = np.zeros(old.num_rows, dtype=bool)
    for name in old.schema.names:
        if pa.types.is_fixed_size_list(old.schema.field(name).type):
            pair = [table.column(name).combine_chunks().flatten().to_numpy() for table in (old, new)]
            apart |= (pair[0] != pair[1]).reshape(old.num_rows, -1).any(axis=1)
        else:
            pair = [table.column(name).to_pandas() for table in (old, new)]
            apart |= ~((pair[0] == pair[1]) | (pair[0].isna() & pair[1].isna())).to_numpy()
    return int(apart.sum())


def _pictures_apart(old: np.ndarray, new: np.ndarray) -> str:
    from scipy.spatial import procrustes
    from sklearn.neighbors import NearestNeighbors

    placed = np.isfinite(old).all(axis=1) & np.isfinite(new).all(axis=1)
    old, new = old[placed], new[placed]
    _, _, disparity = procrustes(old, new)
    k = min(NEIGHBORS, len(old) - 1)
    near = [NearestNeighbors(n_neighbors=k).fit(one).kneighbors(return_distance=False) for one in (old, new)]
    overlap = np.mean([np.isin(a, b).mean() for a, b in zip(*near, strict=True)])
    moved = (old != new).any(axis=1).mean()
    return (
        f"{moved:.2%} of the rows moved; Procrustes disparity {disparity:.3g}, overlap of {k} neighbours {overlap:.2f}"
    )


def _changes(before: dict[str, Any], after: dict[str, Any]) -> str:
    names = sorted({**before, **after})
    return ", ".join(
        f"{name} {before.get(name)} → {after.get(name)}" for name in names if before.get(name) != after.get(name)
    )


def compare_with_committed(
    committed: dict[str, Any], recomputed: Mapping[str | Path, tuple[str | Path, str]]
) -> list[dict[str, Any]]:
    """Compare recomputed stages with fingerprints that were committed.

    Parameters
    ----------
    committed : mapping
        What `umap_sweep.reproduce.fingerprints` wrote.
    recomputed : mapping of path to (path, str)
        For each stored stage, what was recomputed of it, and the fingerprint of that.

    Returns
    -------
    list of dict
        One row for each stage that the committed file knows.
    """
    rows = []
    for stored, (path, observed) in recomputed.items():
        name = name_of(stored)
        if name not in committed["fingerprints"]:
            continue
        stage, _, key = name.partition("/")
        expected = committed["fingerprints"][name]
        found = environment.decisive(store.read_record(path)["environment"])
        changes = [_changes(environment.decisive(one), found) for one in committed["environments"]]
        code, known_code = store.read_record(path).get("code", UNKNOWN), committed.get("code", {})
        rows.append(
            {
                "against": "fingerprints",
                "stage": stage,
                "key": key,
                "expected": expected,
                "observed": observed,
                "equal": expected == observed,
                "difference": "" if expected == observed else "another fingerprint than the committed one",
                # Where one of the committed environments is this one, nothing in it explains a difference.
                "environment": "" if "" in changes else changes[0],
                "code": "" if stage == "embeddings" else _other_code(known_code.get(stage, [UNKNOWN]), code),
            }
        )
    return rows


def verdict(rows: Sequence[dict[str, Any]], strict: bool) -> tuple[bool, list[str]]:
    """Return whether a verification holds, and what there is to say.

    Parameters
    ----------
    rows : sequence of dict
    strict : bool
        Whether a committed fingerprint must hold in another environment too.

    Returns
    -------
    holds : bool
    lines : list of str
        For each kind of comparison one sentence; the first stage that differs comes first.
    """
    holds, lines = True, []
    for against in ("results", "fingerprints"):
        these = [row for row in rows if row["against"] == against]
        differing = sorted((row for row in these if not row["equal"]), key=lambda row: STAGES.index(row["stage"]))
        what = "the stored results" if against == "results" else "the committed fingerprints"
        if not these:
            continue
        if not differing:
            lines.append(f"{len(these)} results of all stages computed again: equal to {what}, bit for bit.")
            older = [row for row in these if row["code"]]
            if older:
                lines.append(f"{len(older)} of {what} were {older[0]['code']}, with the same bits.")
            continue
        first = differing[0]
        same_stage = [row for row in differing if row["stage"] == first["stage"]]
        excused = against == "fingerprints" and bool(first["environment"]) and not strict
        holds = holds and excused
        others = f" and {len(same_stage) - 1} more of this stage" if len(same_stage) > 1 else ""
        lines.append(
            f"The first stage that differs from {what} is {first['stage']} ({first['key']}{others}): "
            f"{first['difference']}. What differs in the environment: {first['environment'] or 'nothing'}."
            + (f" It was {first['code']}." if first["code"] else "")
            + (" Another environment is no failure unless verify.strict is true." if excused else "")
        )
    return holds, lines


def verify(
    stored: Sequence[str | Path],
    recomputed: Sequence[str | Path],
    out: str | Path,
    fingerprints: str | Path,
    strict: bool,
) -> list[str]:
    """Compare all stages, write the table, and return what there is to say.

    Parameters
    ----------
    stored, recomputed : sequence of path
        The same stages in the same order; beside an embedding stands its layout.
    out : path
        Receives the table, `COLUMNS`, also where something differs.
    fingerprints : path
        Committed fingerprints; need not exist.
    strict : bool
        See `verdict`.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        Where anything differs that must not, with the first differing stage.
    """
    # Who has asked for AnnData alone has no tables of single cells.
    pairs = [pair for pair in zip(stored, recomputed, strict=True) if Path(pair[0]).exists() or _must_be(pair[0])]
    stored, recomputed = [old for old, _ in pairs], [new for _, new in pairs]
    rows = [compare(old, new) for old, new in pairs]
    if Path(fingerprints).exists():
        try:
            committed = json.loads(Path(fingerprints).read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{fingerprints} is damaged ({error}). Restore it, or write it again.") from error
        observed = [row["observed"] for row in rows]
        made = zip(recomputed, observed, strict=True)
        rows += compare_with_committed(committed, dict(zip(stored, made, strict=True)))
    rows.sort(key=lambda row: (row["against"] == "fingerprints", STAGES.index(row["stage"]), row["key"]))
    table = pa.table({name: [row[name] for row in rows] for name in COLUMNS})
    store.write(out, table, store.make_record("verify", {}, store.fingerprint(table)))
    holds, lines = verdict(rows, strict)
    if not holds:
        raise InputError(" ".join(lines))
    return lines


def _must_be(path: str | Path) -> bool:
    """Return whether every sweep has such a stage."""
    return not name_of(path).startswith("embeddings/")


def run(
    stored: Sequence[str | Path],
    recomputed: Sequence[str | Path],
    folder: str | Path,
    fingerprints: str | Path,
    strict: bool,
) -> None:
    """Verify, say what there is to say, and remove what was recomputed.

    Parameters
    ----------
    stored, recomputed, fingerprints, strict
        As for `verify`.
    folder : path
        Holds all of `recomputed`; the table goes beside it.

    Raises
    ------
    InputError
        See `verify`.
    """
    try:
        lines = verify(stored, recomputed, Path(folder).with_name("verify.parquet"), fingerprints, strict)
    finally:
        # What is compared once must not be taken for a rerun the next time.
        shutil.rmtree(folder)
    for line in lines:
        logging.getLogger("umap_sweep").info(line)
        print(f"umap-sweep: {line}", flush=True)
