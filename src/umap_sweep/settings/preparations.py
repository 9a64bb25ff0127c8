"""The ways to prepare data that a configuration names: their steps, and what all cells are measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from umap_sweep.errors import InputError
from umap_sweep.settings.schema import nearest

# What the steps are after which preparations part, and the data as it is; so no preparation has these names.
COMMON, DATA = "common", "data"

# The parameter that a step's value is where it is written without a mapping, and the steps' defaults.
_SHORT = {"normalize_total": "total", "variable": "columns", "scale": "by", "pca": "components"}
_DEFAULTS: dict[str, dict[str, Any]] = {"variable": {"by": "dispersion"}}


def steps(written: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the steps of a preparation in one form, however they are written.

    Parameters
    ----------
    written : sequence
        Valid by the schema, such as `["log1p", {"variable": 2000}]`.

    Returns
    -------
    list of dict
        Of each step its name as `step`, and its parameters, such as
        `{"step": "variable", "columns": 2000, "by": "dispersion"}`.
    """
    found = []
    for one in written:
        name, value = (one, {}) if isinstance(one, str) else next(iter(one.items()))
        given = value if isinstance(value, Mapping) else {_SHORT[name]: value}
        found.append({"step": name, **_DEFAULTS.get(name, {}), **given})
    return found


def used(settings: Mapping[str, Any]) -> list[str]:
    """Return the names in `grid.preparation`; none where the data is taken as it is."""
    names = settings["grid"].get("preparation", [])
    return [names] if isinstance(names, str) else list(names)


def steps_by_name(settings: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the steps of each preparation that is used, and under `COMMON` those that all of them begin with."""
    found = {name: steps(settings["preparation"][name]) for name in used(settings)}
    return found | {COMMON: common(list(found.values()))} if found else {}


def common(several: Sequence[Sequence[Any]]) -> list[Any]:
    """Return what all of some lists begin with."""
    found: list[Any] = []
    for at_place in zip(*several, strict=False):
        if any(one != at_place[0] for one in at_place):
            break
        found.append(at_place[0])
    return found


def complete(settings: dict[str, Any]) -> None:
    """Check which preparations are used, and say in `metrics.reference` what cells of them are measured against.

    Parameters
    ----------
    settings : dict
        Completed but for this. Where preparations are used, `metrics.reference` becomes the name of one of them, or
        `COMMON` or `DATA`; otherwise it is not there, so that nothing changes for sweeps that use none.

    Raises
    ------
    InputError
        For a name that is not known or not allowed, and a reference without preparations.
    """
    known, metrics = settings["preparation"], settings["metrics"]
    for name in known:
        if name in (COMMON, DATA) or not isinstance(name, str):
            raise InputError(
                f"preparation has the name {name}, which is a number or has another meaning for metrics.reference; "
                f"rename it."
            )
    for name in used(settings):
        if name not in known:
            has = f"known are {', '.join(known)}{nearest(name, known)}" if known else "there is none"
            raise InputError(f"grid.preparation has '{name}', which is not under preparation; {has}.")
    if not used(settings):
        if "reference" in metrics:
            raise InputError(
                f"metrics.reference is '{metrics['reference']}', but without grid.preparation all cells are measured "
                f"against the data as it is; remove the key."
            )
        return
    if settings["knn"]["method"] == "imported":
        raise InputError(
            "grid.preparation is given, but knn.method is imported, and an imported k-NN is of data that was prepared "
            "elsewhere; remove one of the two."
        )
    reference = metrics.get("reference", COMMON)
    allowed = [COMMON, DATA, *used(settings)]
    if reference not in allowed:
        raise InputError(
            f"metrics.reference is '{reference}'; allowed is one of {', '.join(allowed)}{nearest(reference, allowed)}."
        )
    metrics["reference"] = _stored_as(settings, reference)


def _stored_as(settings: Mapping[str, Any], reference: str) -> str:
    """Return under which name the data of a reference is stored; that of `COMMON` may be another preparation's too."""
    if reference != COMMON:
        return reference
    by_name = steps_by_name(settings)
    same = [name for name in used(settings) if by_name[name] == by_name[COMMON]]
    return same[0] if same else COMMON if by_name[COMMON] else DATA
