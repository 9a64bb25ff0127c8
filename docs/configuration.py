"""Print docs/configuration.md, made from the schema that the configuration is checked against (`make docs`)."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from umap_sweep import configuration  # noqa: E402

HEAD = """# Configuration

Made from `workflow/schemas/config.schema.yaml` by `make docs`; do not edit.

`config.yaml` holds the defaults. Keep your own values in a file of your own, with only the keys that differ, and give
it with `snakemake --configfile mine.yaml`; single values go on the command line, as in `--config dataset=mine`. A wrong
value, or a key that is not listed here, stops the run before anything is computed.
"""


def page() -> str:
    """Return the page as Markdown."""
    schema = configuration.schema()
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
            parts.append(f"Allowed: {configuration.allowed(rule)}.\n")
    return "\n".join(parts)


def _table(rule: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | allowed | default | meaning |"
    yield "| --- | --- | --- | --- |"
    required = rule.get("required", [])
    for name, key in rule["properties"].items():
        if name == "source":
            continue
        default = "required" if name in required else _default(key)
        yield f"| `{name}` | {configuration.allowed(key)} | {default} | {configuration.described(key)} |"


def _default(key: Mapping[str, Any]) -> str:
    if "default" not in key:
        return ""
    value = key["default"]
    return "`null`" if value is None else f"`{value}`"


if __name__ == "__main__":
    print(page(), end="")
