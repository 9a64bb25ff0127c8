"""Pin the environments: resolve pyproject.toml into files of versions and hashes, and derive one for conda.

Run by `make pins`, with uv installed. The lock holds versions and hashes, and no address.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "envs" / "requirements.txt"
DEVELOPMENT = ROOT / "envs" / "development.txt"
BENCHMARKS = ROOT / "envs" / "benchmarks.txt"
CONDA = ROOT / "envs" / "umap-sweep.yaml"
HEADER = "# Generated from pyproject.toml by `make pins`; do not edit.\n"


def resolve(*groups: str, within: Path | None = None) -> str:
    """Return what the pipeline and some groups of pyproject.toml require, pinned with hashes, for Python 3.11 to 3.13.

    Parameters
    ----------
    *groups : str
    within : Path, optional
        A pinned file whose versions are kept.
    """
    command = [
        "uv",
        "pip",
        "compile",
        "pyproject.toml",
        "--extra",
        "workflow",
        "--universal",
        "--python-version",
        "3.11",
    ]
    options = ["--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
    options += [word for group in groups for word in ("--group", group)]
    options += ["--constraints", str(within)] if within else []
    return subprocess.run([*command, *options], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def conda_environment(requirements: str) -> str:
    """Return a conda environment that installs exactly the pinned files.

    conda brings Python; the packages come through pip, with the same hashes. Conda's own builds of numpy or SciPy use
    another BLAS, and another BLAS gives other bits.
    """
    joined = re.sub(r" \\\n\s+", " ", requirements)
    packages = [line for line in joined.splitlines() if line and not line.startswith("#")]
    lines = ["name: umap-sweep", "channels: [conda-forge, nodefaults]", "dependencies:", "  - python=3.11", "  - pip"]
    lines += ["  - pip:", *("      - '" + package.replace("'", "''") + "'" for package in packages)]
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] != ["--derive"]:
        REQUIREMENTS.write_text(HEADER + resolve("build"))
        DEVELOPMENT.write_text(HEADER + resolve("build", "dev", within=REQUIREMENTS))
        BENCHMARKS.write_text(HEADER + resolve("build", "benchmarks", within=REQUIREMENTS))
    CONDA.write_text(conda_environment(REQUIREMENTS.read_text()))
