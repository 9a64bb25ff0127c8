"""Try faults on the files and jobs of a sweep, and print the tables of docs/faults.md.

    python tests/fault_table.py files      each file damaged or swapped: what `check` says, and the next that reads it
    python tests/fault_table.py jobs       each rule's job killed in its middle, and the same command again
    python tests/fault_table.py trees      the whole run killed at ten random moments, and the same command again

On two cores each takes about ten minutes. The exit code is 1 where anything damaged, swapped, stale or half-written
is taken, or where a result differs from that of an undisturbed run.
"""

import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
from conftest import snakemake
from test_faults import CELL, CONFIG, GRAPH, KNN_FILE, LAYOUT, ROW, START, fingerprints, kill_tree, of_row, of_seed
from test_faults import finished as run_again
from test_faults import start as start_run

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.results import manifest

# Each file with the rule that reads it next, and another file of the same kind.
FILES = {
    "data/data.parquet": ("knn", "../wine/data/data.parquet"),
    "rows.parquet": ("sweep", "../wine/rows.parquet"),
    KNN_FILE: ("graph", f"../wine/{KNN_FILE}"),
    f"{GRAPH}/edges.parquet": ("initial_layout", of_row(f"{GRAPH}/edges.parquet", 5)),
    f"{GRAPH}/vertices.parquet": ("initial_layout", f"../wine/{GRAPH}/vertices.parquet"),
    START: ("layout_0p1_0p5", of_seed(START)),
    LAYOUT: ("sweep", of_seed(LAYOUT)),
    f"costs/{CELL}/cost.json": ("metrics", None),
    "high_dimensional/metric=euclidean/sample.parquet": (
        "cell_metrics",
        "../wine/high_dimensional/metric=euclidean/sample.parquet",
    ),
    "high_dimensional/metric=euclidean/ranks.parquet": (
        "cell_metrics",
        "../wine/high_dimensional/metric=euclidean/ranks.parquet",
    ),
    f"neighbors/{ROW}/neighbors.parquet": ("seed_pairs", of_row(f"neighbors/{ROW}/neighbors.parquet", 5)),
    f"points/{ROW}/points.parquet": ("atlas", of_seed(f"points/{ROW}/points.parquet")),
    f"metrics/{ROW}/metrics.parquet": ("metrics", of_seed(f"metrics/{ROW}/metrics.parquet")),
    "metrics.parquet": ("shortlist", "../wine/metrics.parquet"),
    "stability.parquet": ("plot_stability", "../wine/stability.parquet"),
    "features.parquet": ("plot_features", "../wine/features.parquet"),
    "sweep.parquet": ("plot_grid", "../wine/sweep.parquet"),
    "plots/grid.png": (None, "../wine/plots/grid.png"),
    "atlas.html": (None, "../wine/atlas.html"),
    "metrics.csv": (None, "../wine/metrics.csv"),
    "manifest.json": (None, "../wine/manifest.json"),
}

# What may become of a file.
FAULTS = [
    "cut by ten bytes",
    "emptied",
    "a bit of the values",
    "a bit of the record",
    "another in its place",
    "of an earlier run",
]


# Those by which a whole file is another one.
OTHER_FILES = FAULTS[-2:]


def flipped(content: bytes, place: int) -> bytes:
    """Return bytes with one bit changed."""
    changed = bytearray(content)
    changed[place] ^= 4
    return bytes(changed)


def place_in_values(path: Path) -> int:
    """Return the place of the last byte of the largest column's values, behind the heads of its pages.

    Of other formats it is the middle of the file.
    """
    if path.suffix != ".parquet":
        return path.stat().st_size // 2
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    largest = max(columns, key=lambda column: column.total_compressed_size)
    start = largest.dictionary_page_offset or largest.data_page_offset
    return start + largest.total_compressed_size - 1


def faults(results: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield what a file may become, by its name in the table."""
    content = (results / name).read_bytes()
    found = [content[:-10], b"", flipped(content, place_in_values(results / name))]
    found.append(flipped(content, content.rindex(b'"stage"') + 10) if name.endswith(".parquet") else None)
    found.append(None if FILES[name][1] is None else (results / FILES[name][1]).read_bytes())
    older = results.parents[1] / "older/results/iris" / name
    found.append(older.read_bytes() if older.exists() and older.read_bytes() != content else None)
    yield from ((fault, one) for fault, one in zip(FAULTS, found, strict=True) if one is not None)


def named_by_check(work: Path, name: str) -> bool:
    """Return whether `check` names a file."""
    here = Path.cwd()
    os.chdir(work)
    try:
        manifest.check("results/iris/manifest.json")
    except InputError as error:
        # What a manifest of an earlier run lists differs from what is there.
        return name in str(error) or name == "manifest.json"
    finally:
        os.chdir(here)
    return False


def values(work: Path, but: str = "") -> dict[str, str]:
    """Return the fingerprint of every table of iris but one, as its values are now."""
    paths = sorted(path for path in (work / "results/iris").rglob("*.parquet") if path != work / "results/iris" / but)
    return {path.relative_to(work).as_posix(): store.fingerprint_of(path) for path in paths}


def said_by_reader(work: Path, name: str, fault: str, expected: dict[str, str]) -> str:
    """Return what becomes of a file where the rule that reads it runs."""
    rule = FILES[name][0]
    if rule is None:
        return "named"
    run = run_again(work, "--forcerun", rule, "--until", rule)
    if run.code == 0:
        # A bit of what the job does not read, such as a column beyond its n_neighbors, or the second copy of a record.
        # A whole file of another run is as it should be only where it was made again.
        but = "" if fault in OTHER_FILES else name
        others = {path: value for path, value in expected.items() if path != f"results/iris/{but}"}
        try:
            return "same" if rule in run.jobs and values(work, but) == others else "**taken**"
        except InputError:
            return "**taken**"
    if "Traceback" in run.output:
        return "**traceback**"
    return "refused" if re.search(r"umap-sweep: .*elete", run.output) else "**other error**"


def try_files(folder: Path) -> int:
    """Print what becomes of each damaged or swapped file, a line a file."""
    wrong, expected = 0, values(folder)
    print(f"| file | {' | '.join(FAULTS)} |\n| --- |{' --- |' * len(FAULTS)}")
    for name in FILES:
        found = dict.fromkeys(FAULTS, "")
        for fault, content in faults(folder / "results/iris", name):
            with tempfile.TemporaryDirectory() as temporary:
                work = Path(temporary) / "work"
                shutil.copytree(folder, work, ignore=shutil.ignore_patterns("older", "wine"))
                path = work / "results/iris" / name
                status = path.stat()
                path.write_bytes(content)
                # A backup brings a file back with its time, and damage of a disk leaves it.
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
                named = named_by_check(work, name)
                found[fault] = said_by_reader(work, name, fault, expected) if named else "**not named**"
            wrong += "**" in found[fault]
        print(f"| {re.sub('[^/]*=[^/]*/', '', name)} | {' | '.join(found.values())} |", flush=True)
    return wrong


def pid_of_job(script: str, deadline: float) -> int | None:
    """Return the process of a rule's script, once there is one."""
    while time.monotonic() < deadline:
        for process in Path("/proc").iterdir():
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.endswith(f".{script}.py".encode()) for word in words) and b"python" in words[0]:
                return int(process.name)
        time.sleep(0.02)
    return None


def again(work: Path, expected: dict[str, str]) -> str:
    """Return what the same command makes of a folder after a fault."""
    run = run_again(work)
    if run.code:
        return "**does not go on**"
    if fingerprints(work) != expected:
        return "**differs**"
    if list(work.rglob("*.partial")):
        return "**leaves half-written files**"
    return "equal, bit for bit" if run_again(work, "check").code == 0 else "**check fails**"


def try_jobs(expected: dict[str, str]) -> int:
    """Print what becomes of a sweep after the job of each rule was killed."""
    scripts = ["fetch", "rows", "knn", "graph", "initial_layout", "layout", "high_dimensional", "cell_metrics"]
    scripts += [
        "annotation_metrics",
        "metrics",
        "neighboring_cells",
        "seed_pairs",
        "stability",
        "shortlist",
        "features",
    ]
    scripts += ["sweep", "embedding", "plot_grid", "plot_metrics", "atlas", "manifest"]
    wrong = 0
    print("| killed in | the run | the same command again |\n| --- | --- | --- |")
    for script in scripts:
        with tempfile.TemporaryDirectory() as temporary:
            work = Path(temporary)
            process = start_run(work)
            pid = pid_of_job(script, time.monotonic() + 90)
            if pid is None:
                print(f"| {script} | **was not seen** | |")
                continue
            time.sleep(random.uniform(0, 0.4))
            try:
                os.kill(pid, signal.SIGKILL)
                said = "fails"
            except ProcessLookupError:
                said = "was quicker"
            code = process.wait()
            if (code == 0) != (said == "was quicker"):
                said = "**goes on as if nothing were**" if code == 0 else said
            found = again(work, expected)
        wrong += ("**" in said) + ("**" in found)
        print(f"| {script} | {said} | {found} |", flush=True)
    return wrong


def try_trees(expected: dict[str, str]) -> int:
    """Print what becomes of a sweep after all of its processes were killed at one random moment."""
    pick, wrong = random.Random(1), 0
    print("| killed after | stages' files there | the same command again |\n| ---: | ---: | --- |")
    for _ in range(10):
        with tempfile.TemporaryDirectory() as temporary:
            work = Path(temporary)
            seconds = pick.uniform(4, 22)
            process = start_run(work)
            time.sleep(seconds)
            kill_tree(process)
            there = len(list((work / "results").rglob("*.parquet"))) if (work / "results").exists() else 0
            found = again(work, expected)
        wrong += "**" in found
        print(f"| {seconds:.1f} s | {there} | {found} |", flush=True)
    return wrong


def main() -> int:
    """Make an undisturbed sweep, and try what the command line asks for."""
    tries: dict[str, Callable[[Path], int]] = {
        "files": try_files,
        "jobs": lambda folder: try_jobs(fingerprints(folder)),
        "trees": lambda folder: try_trees(fingerprints(folder)),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "older").mkdir()
        older = {**CONFIG, "umap": {"n_epochs": 40}}
        for place, config in ((folder, {**CONFIG, "dataset": "wine"}), (folder, CONFIG), (folder / "older", older)):
            run = snakemake(place, config=config)
            if run.code:
                print(run.output)
                return 1
        return 1 if sum(tries[name](folder) for name in sys.argv[1:] or tries) else 0


if __name__ == "__main__":
    sys.exit(main())
