"""Write down what was run on what, read from the results themselves."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from umap_sweep import store
from umap_sweep.cells.keys import check_one_code
from umap_sweep.errors import InputError

# Which stage each stage is made from.
STAGES = ("data", "rows", "knn", "graph", "initial_layout", "layout", "embedding")


def manifest(paths: Sequence[str | Path], today: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Collect the records of all stages, after checking that they belong together.

    Nothing in it comes from the configuration, so it cannot differ from what the files hold.

    Parameters
    ----------
    paths : sequence of path
        Every stored stage of the sweep.
    today : mapping of str to str, optional
        The digest of today's code of each stage.

    Returns
    -------
    dict
        `environments`, each distinct one once, and `results`: path, stage, key, fingerprint, inputs, the digest of the
        code that made it, and the number of its environment.

    Raises
    ------
    InputError
        Where a result was made from a stage that is no longer the stored one, or some results of a stage were made by
        other code than the rest.
    """
    records = {str(path): store.read_record(path) for path in paths}
    for stage in STAGES:
        of_stage = {path: record for path, record in records.items() if record["stage"] == stage}
        check_one_code(of_stage, (today or {}).get(stage))
    present = {record["fingerprint"] for record in records.values()}
    environments: list[dict[str, str]] = []
    results = []
    for path, record in sorted(records.items(), key=lambda item: (STAGES.index(item[1]["stage"]), item[0])):
        for stage, used in record["inputs"].items():
            if used not in present:
                raise InputError(f"{path} was made from another {stage} than the stored one. Delete it and run again.")
        environment = record.pop("environment")
        if environment not in environments:
            environments.append(environment)
        results.append({"path": path, **record, "environment": environments.index(environment)})
    return {"environments": environments, "results": results}


def write(paths: Sequence[str | Path], out: str | Path, today: Mapping[str, str] | None = None) -> None:
    """Write the manifest of the stages at `paths` to `out`; see `manifest`."""
    text = json.dumps(manifest(paths, today), indent=1, sort_keys=True, allow_nan=False)
    with store.appearing(out) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
