"""Pin the environments: resolve pyproject.toml into requirements.txt and benchmarks.txt, and derive one for conda.

Run by `make pins`, with uv installed. The lock holds versions and hashes, and no address.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "envs" / "requirements.txt"
BENCHMARKS = ROOT / "envs" / "benchmarks.txt"
CONDA = ROOT / "envs" / "umap-sweep.yaml"
HEADER = "# Generated from pyproject.toml by `make pins`; do not edit.\n"


def resolve(group: str) -> str:
    """Return what pyproject.toml and one of its groups require, pinned with hashes, for Python 3.11 to 3.13."""
    command = ["uv", "pip", "compile", "pyproject.toml", "--group", group, "--universal", "--python-version", "3.11"]
    options = ["--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
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
        REQUIREMENTS.write_text(HEADER + resolve("dev"))
        BENCHMARKS.write_text(HEADER + resolve("benchmarks"))
    CONDA.write_text(conda_environment(REQUIREMENTS.read_text()))
