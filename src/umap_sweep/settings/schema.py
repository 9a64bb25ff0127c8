"""The schema of the configuration, and in words what it allows: the one place of every key's default and bounds."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from umap_sweep.errors import InputError

SCHEMA = Path(__file__).with_name("config.schema.yaml")


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration."""
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def _is_whole(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# JSON Schema takes 5.0 for a whole number. As part of a path and of a key it would be another one than 5.
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole),
)


def check(settings: Mapping[str, Any]) -> None:
    """Raise an `InputError` for the first value that the schema does not allow: the key, the value, what is allowed."""
    for path, value in _leaves(settings):
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{_dotted(path)} is {value}; allowed is a finite number.")
    error = next(_Validator(schema()).iter_errors(settings), None)
    if error is not None:
        raise InputError(_explain(error))


def is_allowed(value: Any, rule: Mapping[str, Any]) -> bool:
    """Return whether one value is what a part of the schema allows; no NaN and nothing infinite is."""
    finite = not isinstance(value, float) or math.isfinite(value)
    return finite and jsonschema.Draft202012Validator(rule).is_valid(value)


def allowed(rule: Mapping[str, Any]) -> str:
    """Return in words what a part of the schema allows.

    Parameters
    ----------
    rule : mapping
        A JSON Schema of the kinds that `config.schema.yaml` uses.

    Returns
    -------
    str
        Such as `a whole number from 2` or `one of auto, exact, nn-descent`.
    """
    if "$ref" in rule:
        return allowed(schema()["$defs"][rule["$ref"].rpartition("/")[2]])
    if "anyOf" in rule:
        return ", or ".join(allowed(one) for one in rule["anyOf"])
    if "const" in rule:
        return f"`{rule['const']}`"
    if "enum" in rule:
        return "one of " + ", ".join(str(one) for one in rule["enum"])
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    return " or ".join(_allowed_kind(kind, rule) for kind in kinds)


def described(rule: Mapping[str, Any]) -> str:
    """Return a part of the schema's own description, or that of the definition it refers to."""
    if "description" in rule or "$ref" not in rule:
        return rule["description"]
    return described(schema()["$defs"][rule["$ref"].rpartition("/")[2]])


def _allowed_kind(kind: str, rule: Mapping[str, Any]) -> str:
    if kind in ("integer", "number"):
        words = "a whole number" if kind == "integer" else "a number"
        if "minimum" in rule:
            words += f" from {rule['minimum']}"
        if "exclusiveMinimum" in rule:
            words += f" above {rule['exclusiveMinimum']}"
        if "maximum" in rule:
            words += f" to {rule['maximum']}"
        return words
    if kind == "array":
        return f"a list of different values, each {allowed(rule['items'])}"
    if kind == "string":
        return rule.get("title", "text")
    return {"object": "a mapping of keys to values", "null": "null", "boolean": "true or false"}[kind]


def _explain(error: jsonschema.ValidationError) -> str:
    if error.validator == "oneOf":
        return _explain_source(error)
    path = _dotted(error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(key for key in error.instance if key not in known)
        inside = f"{path} has" if path else "the configuration has"
        return f"{inside} an unknown key '{unknown}'; allowed are {', '.join(known)}{nearest(unknown, known)}."
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{path + '.' if path else ''}{missing} is missing; add it."
    if error.validator == "propertyNames" or "propertyNames" in error.schema_path:
        return f"{path} has the name '{error.instance}'; allowed are letters, digits, '_', '.' and '-'."
    rule = error.schema
    if error.validator == "anyOf" and isinstance(error.instance, list):
        rule = next(one for one in rule["anyOf"] if one.get("type") == "array")
    sentence = f"{path} is {error.instance!r}; allowed is {allowed(rule)}"
    if isinstance(error.instance, str) and "enum" in rule:
        sentence += nearest(error.instance, rule["enum"])
    if isinstance(error.instance, str) and _is_number(error.instance):
        sentence += ". YAML reads this as text: write it plainly, as in 0.001 or 1.0e-3"
    return sentence + "."


def _explain_source(error: jsonschema.ValidationError) -> str:
    """Explain a data set by the source it names, instead of by all sources that it is not."""
    path = _dotted(error.absolute_path)
    names = [one["$ref"].rpartition("/source_")[2] for one in error.validator_value]
    source = error.instance.get("source") if isinstance(error.instance, dict) else None
    if source not in names:
        closest = nearest(str(source), names)
        return f"{path}.source is {source!r}; allowed is one of {', '.join(names)}{closest}."
    return _explain(next(one for one in error.context if one.schema_path[0] == names.index(source)))


def defaults(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of the keys of one section of the schema, those that have one."""
    # Copies, because a configuration is changed while it is completed.
    return {name: deepcopy(rule["default"]) for name, rule in section["properties"].items() if "default" in rule}


def source(name: str) -> dict[str, Any]:
    """Return the part of the schema that describes one `source` of data sets."""
    return schema()["$defs"][f"source_{name}"]


def nearest(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Return the end of a message that names the known word nearest to a wrong one; empty where none is near."""
    close = difflib.get_close_matches(str(word), [str(one) for one in known], n=1)
    return f", nearest is '{close[0]}'" if close else ""


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in path)


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _leaves(one, (*path, key))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _leaves(one, (*path, place))
    else:
        yield path, value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
