"""Write what is made from the schema of the configuration, and the picture of the rules (`make docs`).

The picture needs Graphviz.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from umap_sweep.settings import schema as rules

ROOT = Path(__file__).parents[1]

STAGES = ("fetch", "knn", "graph", "initial_layout", "layout")
TARGETS = ("all", "claims", "timing", "anndata", "fingerprints", "transform", "recipe", "export", "figure")

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


def rule_graph() -> dict[str, list[str]]:
    """Return which rules each rule is made from, in a sweep with all that it may have, and all targets but `verify`.

    `verify` makes the stages once more, by rules of their own.
    """
    with TemporaryDirectory() as folder:
        cell = {"n_neighbors": 15, "min_dist": 0.2, "seed": 1}
        of_cell = {target: {"cell": cell} for target in ("recipe", "export", "figure")}
        settings = {"grid": {"seed": [1, 2]}, "choose": {"null": True, "leave_out": 1}}
        settings |= of_cell | {"transform": {"cell": cell, "dataset": "mnist"}}
        (Path(folder) / "seeds.yaml").write_text(yaml.safe_dump(settings))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--rulegraph", "dot"]
        command += ["--configfile=seeds.yaml", "--", *TARGETS]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    # A rule that lays out several cells at once, such as embedding_0p0_0p5, is drawn as the one that lays out one.
    names = dict(re.findall(r'(\d+)\[label = "(\w+?)(?:_\d\w*)?"', done.stdout))
    graph: dict[str, list[str]] = {name: [] for name in sorted(names.values())}
    for above, below in re.findall(r"(\d+) -> (\d+)", done.stdout):
        if above != below:  # derived data is made from the data by the rule that fetches both
            graph[names[below]].append(names[above])
    # The manifest lists the files of all rules, and `all` is made of them. Drawn are those that no other rule reads.
    read = {one for name, above in graph.items() if name not in ("manifest", *TARGETS) for one in above}
    graph["manifest"] = [name for name in graph["manifest"] if name not in read]
    graph["all"] = ["manifest"]
    return {name: sorted(above) for name, above in graph.items()}


def rule_picture(graph: Mapping[str, list[str]]) -> str:
    """Return a graph of rules for Graphviz: stages blue, targets orange."""
    lines = [
        "digraph rules {",
        'rankdir=LR; nodesep=0.18; ranksep=0.45; bgcolor="white";',
        'node [shape=box, style="rounded,filled", fillcolor="#f4f4f4", color="#999999", fontname="DejaVu Sans",',
        'fontsize=11, height=0.32, margin="0.12,0.04"];',
        'edge [color="#777777", arrowsize=0.6, penwidth=0.8];',
        *(f'"{name}" [fillcolor="#d6e6f4", color="#0072b2"];' for name in STAGES),
        *(f'"{name}" [fillcolor="#fbe3d0", color="#d55e00"];' for name in TARGETS),
        *(f'"{one}" -> "{name}";' for name, above in graph.items() for one in above),
    ]
    return "\n".join([*lines, "}"]) + "\n"


if __name__ == "__main__":
    for path, text in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
        print(f"Wrote {path}.", file=sys.stderr)
    picture = ["dot", "-Tsvg", "-o", str(ROOT / "docs/rules.svg")]
    subprocess.run(picture, input=rule_picture(rule_graph()), check=True, text=True)
