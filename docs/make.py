"""Write what is made from the schema of the configuration (`make docs`): its page, its copy, and config.yaml."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from umap_sweep.settings import schema as rules

ROOT = Path(__file__).parents[1]

HEAD = """# Configuration

Made from the schema, `src/umap_sweep/settings/config.schema.yaml`, by `make docs`; do not edit.

`config.yaml` holds the defaults that a run is about. Keep your own values in a file of your own, with only the keys
that differ, and give it with `snakemake --configfile=mine.yaml`; single values go on the command line, as in
`--config dataset=mine`. A wrong value, or a key that is not listed here, stops the run before anything is computed.
"""

SCHEMA_HEAD = """# A copy for editors and the workflow catalog, made by `make docs`. Edit
# src/umap_sweep/settings/config.schema.yaml instead.
"""

CONFIG_HEAD = """# The default sweep. Every key is described in docs/configuration.md. Keep your own values in a file of
# your own and give it with --configfile=mine.yaml: it is merged over this one.
#
# Made from src/umap_sweep/settings/config.schema.yaml by `make docs`.
"""


def page() -> str:
    """Return docs/configuration.md."""
    schema = rules.schema()
    sources = {name: rule for name, rule in schema["$defs"].items() if name.startswith("source_")}
    parts = [HEAD]
    for name, rule in schema["properties"].items():
        parts.append(f"## `{name}`\n\n{rule['description']}\n")
        if name == "datasets":
            for source, keys in sources.items():
                parts.append(f"### `source: {source.removeprefix('source_')}`\n\n{keys['description']}\n")
                parts.append("\n".join(_table(keys)) + "\n")
        elif "properties" in rule:
            parts.append("\n".join(_table(rule)) + "\n")
        else:
            parts.append(f"Allowed: {rules.allowed(rule)}. Default: {_default(rule)}.\n")
    return "\n".join(parts)


def _table(rule: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | allowed | default | meaning |"
    yield "| --- | --- | --- | --- |"
    required = rule.get("required", [])
    for name, key in rule["properties"].items():
        if name == "source":
            continue
        default = "required" if name in required else _default(key)
        yield f"| `{name}` | {rules.allowed(key)} | {default} | {rules.described(key)} |"


def _default(key: Mapping[str, Any]) -> str:
    if "default" not in key:
        return ""
    value = key["default"]
    return "`null`" if value is None else f"`{value}`"


def config() -> str:
    """Return config.yaml: the defaults of what a sweep is about, each section under its description."""
    parts = [CONFIG_HEAD]
    for name in ("dataset", "datasets", "knn", "grid"):
        rule = rules.schema()["properties"][name]
        comment = rule["description"].partition(". ")[0].rstrip(".").replace("`", "")
        if name == "datasets":
            lines = [f"  {one}: {_flow(value)}" for one, value in rule["default"].items()]
            lines.append("  # mine: {source: file, path: data/cells.parquet, id: cell, label: cell_type}")
            value = "\n" + "\n".join(lines)
        elif "properties" in rule:
            shown = {key: one for key, one in rules.defaults(rule).items() if key != "neighbors_key"}
            value = f" {_flow(shown)}"
        else:
            value = f" {rule['default']}"
        parts.append(f"# {comment}.\n{name}:{value}\n")
    return "\n".join(parts)


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000).strip()


def files() -> dict[str, str]:
    """Return every file that is made here, by its path from the project's folder."""
    return {
        "docs/configuration.md": page(),
        "config.yaml": config(),
        "config/config.yaml": config(),
        "workflow/schemas/config.schema.yaml": SCHEMA_HEAD + rules.SCHEMA.read_text(encoding="utf-8"),
    }


if __name__ == "__main__":
    for path, text in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
        print(f"Wrote {path}.", file=sys.stderr)
