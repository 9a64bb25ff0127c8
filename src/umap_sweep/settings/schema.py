"""The schema of the configuration, which alone states every key's default and bounds, and what it allows in words."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
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
    loaded: dict[str, Any] = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    return loaded


def _is_whole(_: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# JSON Schema allows 5.0 as a whole number. In a path and in a key it would differ from 5, so here it is none.
_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole),
)


def check(settings: Mapping[str, Any]) -> None:
    """Raise an `InputError` for the first value that the schema does not allow, with its key and what is allowed."""
    for path, value in _leaves(settings):
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{_dotted(path)} is {value}; allowed is a finite number.")
    error = next(_Validator(schema()).iter_errors(settings), None)
    if error is not None:
        raise InputError(_explain(error))


def typed(settings: dict[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """Return settings in which texts stand for what they write, where the schema allows no text.

    Snakemake hands over every number within a value of `--config`, such as `grid={n_neighbors: [7]}`, as text.

    Parameters
    ----------
    settings : dict
        Changed in place.
    keys : collection of str
        The top-level keys that are from the command line.
    """
    for _ in range(len(list(_leaves(settings)))):  # a data set is checked whole, so that one text follows another
        wrong = (one for error in _Validator(schema()).iter_errors(settings) for one in _causes(error))
        changed = False
        for error in wrong:
            path, text = list(error.absolute_path), error.instance
            if path and path[0] in keys and isinstance(text, str):
                value = float(text) if _is_number(text) and not text.isdigit() else yaml.safe_load(text)
                if not isinstance(value, str) and value is not None:
                    _put(settings, path, value)
                    changed = True
        if not changed:
            break
    return settings


def _causes(error: jsonschema.ValidationError) -> Iterator[jsonschema.ValidationError]:
    """Yield an error, and those of the alternatives of which it says that none fits; of a data set, of its source."""
    yield error
    if error.validator == "oneOf":
        names, source = _sources(error)
        if source in names:
            yield from (one for one in error.context if one.schema_path[0] == names.index(source))
        return
    for one in error.context:
        yield from _causes(one)


def _sources(error: jsonschema.ValidationError) -> tuple[list[str], Any]:
    """Return the sources that a data set may have, and that which one has that does not fit."""
    _, value, expected = _parts(error)
    names = [one["$ref"].rpartition("/source_")[2] for one in expected]
    return names, value.get("source") if isinstance(value, dict) else None


def _put(settings: Any, path: Sequence[str | int], value: Any) -> None:
    for part in path[:-1]:
        settings = settings[part]
    settings[path[-1]] = value


def is_allowed(value: Any, rule: Mapping[str, Any]) -> bool:
    """Return whether a part of the schema allows a value; NaN and infinite values are never allowed."""
    finite = not isinstance(value, float) or math.isfinite(value)
    return finite and jsonschema.Draft202012Validator(rule).is_valid(value)


def allowed(rule: Mapping[str, Any]) -> str:
    """Return in words what a part of the schema allows.

    Parameters
    ----------
    rule : mapping
        A part of the JSON Schema in `config.schema.yaml`.

    Returns
    -------
    str
        Such as `a whole number from 2` or `one of auto, exact, nn-descent`.
    """
    if "$ref" in rule:
        return allowed(schema()["$defs"][rule["$ref"].rpartition("/")[2]])
    if "oneOf" in rule:
        return str(rule["title"])
    if "anyOf" in rule:
        return ", or ".join(allowed(one) for one in rule["anyOf"])
    if "const" in rule:
        return f"`{rule['const']}`"
    if "enum" in rule:
        return "one of " + ", ".join(str(one) for one in rule["enum"])
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    return " or ".join(_allowed_kind(kind, rule) for kind in kinds)


def described(rule: Mapping[str, Any]) -> str:
    """Return the description of a part of the schema, or that of the definition that it refers to."""
    if "description" in rule or "$ref" not in rule:
        return str(rule["description"])
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
        different = "different " if rule.get("uniqueItems") else ""
        return f"a list of {different}values, each {allowed(rule['items'])}"
    if kind == "string":
        return str(rule.get("title", "text"))
    if kind == "object" and "title" in rule:
        return str(rule["title"])
    return {"object": "a mapping of keys to values", "null": "null", "boolean": "true or false"}[kind]


def _explain(error: jsonschema.ValidationError) -> str:
    if error.validator == "oneOf":
        return _explain_source(error)
    path = _dotted(error.absolute_path)
    rule, value, expected = _parts(error)
    if error.validator == "additionalProperties":
        known = list(rule["properties"])
        unknown = next(key for key in value if key not in known)
        inside = f"{path} has" if path else "the configuration has"
        return f"{inside} an unknown key '{unknown}'; allowed are {', '.join(known)}{nearest(unknown, known)}."
    if error.validator == "required":
        missing = next(key for key in expected if key not in value)
        return f"{path + '.' if path else ''}{missing} is missing; add it."
    if error.validator == "propertyNames" or "propertyNames" in error.schema_path:
        return f"{path} has the name '{value}'; allowed are letters, digits, '_', '.' and '-'."
    if error.validator == "anyOf" and (meant := _explain_meant(error, path)) is not None:
        return meant
    if error.validator == "anyOf" and isinstance(value, list):
        rule = next(one for one in rule["anyOf"] if one.get("type") == "array")
    if error.validator == "anyOf" and value == "":
        rule = next(one for one in rule["anyOf"] if one.get("type") == "string")
    sentence = f"{path} is {value!r}; allowed is {allowed(rule)}"
    if isinstance(value, str) and "enum" in rule:
        sentence += nearest(value, rule["enum"])
    if error.validator == "anyOf":
        sentence += _nearest_of_alternatives(value, rule.get("anyOf", ()))
    if isinstance(value, str) and _is_number(value):
        sentence += ". YAML reads this as text: write it plainly, as in 0.001 or 1.0e-3"
    if (error.validator == "minLength" or value == "") and "minLength" in rule and "title" not in rule:
        sentence += ", not an empty one"
    if value == [] and "minItems" in rule:
        sentence += ". Give one at least"
    if isinstance(value, datetime):
        sentence += ". YAML reads this as a time: put it in quotes"
    return sentence + "."


def _nearest_of_alternatives(value: Any, alternatives: Sequence[Mapping[str, Any]]) -> str:
    """Return `nearest` for a wrong word, or the wrong name of a mapping's entry, among those of the alternatives."""
    word = next(iter(value), None) if isinstance(value, Mapping) else value
    words = [one for rule in alternatives for one in rule.get("enum", rule.get("properties", ()))]
    return nearest(word, words) if isinstance(word, str) and word not in words else ""


def _explain_meant(error: jsonschema.ValidationError, path: str) -> str | None:
    """Explain what is wrong with a mapping as that one of several alternatives whose key it has, if it has one."""
    rule, value, _ = _parts(error)
    number_of = {key: place for place, one in enumerate(rule["anyOf"]) for key in one.get("properties", [])}
    if isinstance(value, str) and value in number_of:
        return f"{path} is '{value}', which needs a value; allowed is {allowed(rule['anyOf'][number_of[value]])}."
    keys = [key for key in value if key in number_of] if isinstance(value, dict) else []
    several = {number_of[key] for key in keys}
    if len(several) > 1:
        each = ", ".join(f"{{{key}: …}}" for key in keys)
        return f"{path} has {' and '.join(keys)} in one; give each by itself, as in {each}."
    of_it = (one for one in error.context if one.schema_path[0] in several)
    return next((_explain(one) for one in of_it), None)


def _parts(error: jsonschema.ValidationError) -> tuple[Any, Any, Any]:
    """Return the part of the schema that an error is about, the value that breaks it, and what its keyword asks for.

    jsonschema declares that they may be unset, but the errors of a validator have them all.
    """
    return error.schema, error.instance, error.validator_value


def _explain_source(error: jsonschema.ValidationError) -> str:
    """Explain what is wrong with a data set as one of the source that it names, not as one of every source."""
    path = _dotted(error.absolute_path)
    names, source = _sources(error)
    if source not in names:
        closest = nearest(str(source), names)
        return f"{path}.source is {source!r}; allowed is one of {', '.join(names)}{closest}."
    return _explain(next(one for one in error.context if one.schema_path[0] == names.index(source)))


def defaults(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the default of each key of one section of the schema that has a default."""
    # They are copied, because a configuration is changed while it is completed.
    return {name: deepcopy(rule["default"]) for name, rule in section["properties"].items() if "default" in rule}


def source(name: str) -> dict[str, Any]:
    """Return the part of the schema that describes one `source` of data sets."""
    rule: dict[str, Any] = schema()["$defs"][f"source_{name}"]
    return rule


def nearest(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Return the end of a message, with the known word that is nearest to a wrong one; empty where none is near."""
    by_small_letters = {str(one).lower(): str(one) for one in known}
    close = difflib.get_close_matches(str(word).lower(), by_small_letters, n=1)
    return f", nearest is '{by_small_letters[close[0]]}'" if close else ""


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
