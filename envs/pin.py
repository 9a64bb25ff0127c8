"""Pin the environments: resolve pyproject.toml into files of versions and hashes, and derive one for conda.

Run by `make pins`, with uv installed. The lock holds versions and hashes, and no address.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "envs" / "requirements.txt"
DEVELOPMENT = ROOT / "envs" / "development.txt"
BENCHMARKS = ROOT / "envs" / "benchmarks.txt"
AUDIT = ROOT / "envs" / "audit.txt"
CONDA = ROOT / "envs" / "umap-sweep.yaml"
# Of the conda environment, as Snakemake writes the whole of its file into its record of every output.
PYTHON = (3, 11)
MACHINES = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64"), ("darwin", "arm64")]
HEADER = "# Generated from pyproject.toml by `make pins`; do not edit.\n"


def resolve(*groups: str, within: Path | None = None, to: Path | None = None) -> str:
    """Return what the pipeline and some groups of pyproject.toml require, pinned with hashes, for Python 3.11 to 3.13.

    Parameters
    ----------
    *groups : str
    within : Path, optional
        A pinned file whose versions are kept.
    to : Path, optional
        Receives the same as a `pylock.toml`, which also names each version's files.
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
    options = ["--no-annotate", "--no-header", "--quiet"]
    options += ["--format", "pylock.toml", "--output-file", str(to)] if to else ["--generate-hashes"]
    options += [word for group in groups for word in ("--group", group)]
    options += ["--constraints", str(within)] if within else []
    return subprocess.run([*command, *options], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def tags(system: str, machine: str) -> set[Tag]:
    """Return the tags of wheels that conda's Python can install on some version of a system and kind of machine."""
    if system == "darwin":
        platforms = list(mac_platforms((99, 0), machine))
    else:
        platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(5, 100)]
        platforms += [f"{name}_{machine}" for name in ("manylinux1", "manylinux2010", "manylinux2014", "linux")]
    interpreter = "cp" + "".join(map(str, PYTHON))
    return {*cpython_tags(PYTHON, platforms=platforms), *compatible_tags(PYTHON, interpreter, platforms)}


def is_installed(marker: str) -> bool:
    """Return whether a marker holds in conda's Python on any of the machines."""
    version = ".".join(map(str, PYTHON))
    return any(
        Marker(marker).evaluate(
            {
                "python_version": version,
                "python_full_version": f"{version}.0",
                "sys_platform": system,
                "platform_system": system.title(),
                "platform_machine": machine,
                "os_name": "posix",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
            }
        )
        for system, machine in MACHINES
    )


def hashes_of_installed(within: Path) -> dict[tuple[str, str], set[str]]:
    """Return the SHA-256 of the files that conda's Python installs, by name and version of their package.

    These are wheels, and source archives where one of the machines has no wheel.

    Parameters
    ----------
    within : Path
        The pinned file whose versions they are of.
    """
    with tempfile.TemporaryDirectory() as folder:  # for a lock has addresses, which stay out of the project
        resolve("build", within=within, to=Path(folder) / "pylock.toml")
        packages = tomllib.loads((Path(folder) / "pylock.toml").read_text())["packages"]
    machines = [tags(*machine) for machine in MACHINES]
    found = {}
    for package in packages:
        kept, served = set(), [False] * len(machines)
        for wheel in package.get("wheels", []):
            name = wheel.get("name") or unquote(urlsplit(wheel["url"]).path).rpartition("/")[2]
            fits = [not wanted.isdisjoint(parse_wheel_filename(name)[3]) for wanted in machines]
            if any(fits):
                kept.add(wheel["hashes"]["sha256"])
            served = [one or other for one, other in zip(served, fits, strict=True)]
        if not all(served) and "sdist" in package:
            kept.add(package["sdist"]["hashes"]["sha256"])
        found[canonicalize_name(package["name"]), package["version"]] = kept
    return found


def pinned(requirements: str) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield name, version, marker and hashes of each line of a pinned file; the marker may be empty."""
    for line in re.sub(r" \\\n\s+", " ", requirements).splitlines():
        if line and not line.startswith("#"):
            requirement, *hashes = line.split(" --hash=sha256:")
            name, version, marker = re.fullmatch(r"(\S+)==(\S+)(?: ; (.+))?", requirement.strip()).groups(default="")
            yield name, version, marker, hashes


def conda_environment(requirements: str, installed: dict[tuple[str, str], set[str]]) -> str:
    """Return a conda environment that installs exactly the pinned versions.

    conda brings Python; the packages come through pip, with those of the same hashes that Python can install. Conda's
    own builds of numpy or SciPy use another BLAS, and another BLAS gives other bits.

    Parameters
    ----------
    requirements : str
        A pinned file.
    installed : dict
        What `hashes_of_installed` returns for it.
    """
    lines = ["name: umap-sweep", "channels: [conda-forge, nodefaults]", "dependencies:", "  - python=3.11", "  - pip"]
    lines.append("  - pip:")
    for name, version, marker, hashes in pinned(requirements):
        if marker and not is_installed(marker):
            continue
        kept = [one for one in hashes if one in installed[canonicalize_name(name), version]]
        assert kept, f"{name} {version} has no file for conda's Python"
        package = f"{name}=={version}" + (f" ; {marker}" if marker else "")
        package += "".join(f" --hash=sha256:{one}" for one in kept)
        lines.append("      - '" + package.replace("'", "''") + "'")
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] != ["--derive"]:
        REQUIREMENTS.write_text(HEADER + resolve("build"))
        DEVELOPMENT.write_text(HEADER + resolve("build", "dev", within=REQUIREMENTS))
        AUDIT.write_text(HEADER + resolve("build", "audit", within=REQUIREMENTS))
        BENCHMARKS.write_text(HEADER + resolve("build", "benchmarks", within=REQUIREMENTS))
    CONDA.write_text(conda_environment(REQUIREMENTS.read_text(), hashes_of_installed(REQUIREMENTS)))
