"""What the measurements were made on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from umap_sweep import environment

ROOT = Path(__file__).parents[1]
SNAKEFILE = ROOT / "workflow/Snakefile"


def name() -> str:
    """Return the CPU's name and the number of cores, as a folder is called."""
    words = re.findall(r"[a-z0-9]+", environment.describe()["cpu"].lower())
    words = [word for word in words if word not in ("r", "tm", "cpu", "processor")]
    return "-".join([*words, str(cores()), "cores"])


def cores() -> int:
    """Return how many cores there are."""
    return os.cpu_count() or 1


def describe() -> dict[str, str]:
    """Return CPU, cores, memory, system and versions, as text."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = environment.describe()
    described = {"cpu": found.pop("cpu"), "cores": str(cores()), "memory": f"{memory:.0f} GiB"}
    try:
        described["system"] = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        described["system"] = platform.system()
    found.pop("cpu_level")
    found.pop("platform")
    return described | found


def commit() -> str:
    """Return which state of this repository ran, such as `1a2b3c4` or `1a2b3c4-dirty`."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
