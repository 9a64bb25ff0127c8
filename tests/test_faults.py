"""Nothing damaged, swapped, stale or half-written is taken for a result; after a fault the same command goes on."""

import fcntl
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT, snakemake

from umap_sweep import environment, store
from umap_sweep.errors import InputError
from umap_sweep.results import manifest

CONFIG = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}, "wine": {"source": "sklearn", "name": "wine"}},
    "knn": {"n_neighbors": 20},
    "grid": {"n_neighbors": [5, 15], "min_dist": [0.1, 0.5], "seed": [10, 11]},
    "umap": {"n_epochs": 50},
    "atlas": {"features": 0},
}
# Of another data set a cell is enough.
WINE = {**CONFIG, "dataset": "wine", "grid": {"n_neighbors": [15], "min_dist": [0.1], "seed": [10]}}
# What makes every stage's file, and no metrics, figures and pages of them.
STAGES = ("sweep", "embeddings")
KNN = "metric=euclidean/knn_k=20/knn_seed=10/knn_jobs=1"
CELL = f"{KNN}/n_neighbors=15/min_dist=0.1/seed=10"
GRAPH, ROW = f"graph/{KNN}/n_neighbors=15", f"{KNN}/n_neighbors=15/seed=10"
KNN_FILE = "knn/metric=euclidean/method=auto/knn_k=20/knn_seed=10/knn_jobs=1/knn.parquet"
TABLES = [f"results/iris/{name}.parquet" for name in ("sweep", "stability", "metrics")]
OLDER = "../../older/results/iris"
START, LAYOUT = f"initial_layout/{ROW}/initial_layout.parquet", f"layouts/{CELL}/layout.parquet"


def of_row(path: str, n_neighbors: int = 15, seed: int = 10) -> str:
    """Return the path of the same file for another row of the grid."""
    return path.replace("n_neighbors=15", f"n_neighbors={n_neighbors}").replace("/seed=10/", f"/seed={seed}/")


def of_seed(path: str) -> str:
    """Return the path of the same file for the other UMAP seed; the k-NN's stays."""
    return path.replace("/seed=10/", "/seed=11/")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two finished sweeps, of a cell of wine and of iris, and one of iris by other settings that are in no path."""
    work = tmp_path_factory.mktemp("faults")
    for config in (WINE, CONFIG):
        run = snakemake(work, config=config)
        assert run.code == 0, run.output
    older = work / "older"
    older.mkdir()
    run = snakemake(older, *TABLES, config={**CONFIG, "umap": {"n_epochs": 40}})
    assert run.code == 0, run.output
    return work


@pytest.fixture
def work(folder, tmp_path):
    """Such a folder of one's own."""
    shutil.copytree(folder, tmp_path / "work", symlinks=True)
    return tmp_path / "work"


def finished(work: Path, *arguments: str):
    """Run the sweep of iris once more."""
    return snakemake(work, *arguments, config=CONFIG)


def fingerprints(work: Path) -> dict[str, str]:
    """Return the fingerprint of the values of every stage's file of iris."""
    paths = (path for stage in ("data", "knn", "graph", "initial_layout", "layouts", "embeddings")
             for path in (work / "results/iris" / stage).rglob("*.parquet"))  # fmt: skip
    return {path.relative_to(work).as_posix(): store.fingerprint_of(path) for path in sorted(paths)}


# What is put in the place of what, and which rule would read it next.
SWAPS = {
    "k-NN of another data set": ("../wine/" + KNN_FILE, KNN_FILE, "graph"),
    "data of another data set": ("../wine/data/data.parquet", "data/data.parquet", "knn"),
    "edges of other n_neighbors": (of_row(f"{GRAPH}/edges.parquet", 5), f"{GRAPH}/edges.parquet", "initial_layout"),
    "edges of another data set": (f"../wine/{GRAPH}/edges.parquet", f"{GRAPH}/edges.parquet", "initial_layout"),
    "vertices for edges": (f"{GRAPH}/vertices.parquet", f"{GRAPH}/edges.parquet", "initial_layout"),
    "start of another seed": (of_seed(START), START, "layout"),
    "start of other n_neighbors": (of_row(START, 5), START, "layout"),
    "start of another data set": (f"../wine/{START}", START, "layout"),
    "layout of other min_dist": (LAYOUT.replace("min_dist=0.1", "min_dist=0.5"), LAYOUT, "sweep"),
    "layout of another seed": (of_seed(LAYOUT), LAYOUT, "cell_metrics"),
    "layout of another data set": (f"../wine/{LAYOUT}", LAYOUT, "embeddings"),
    "layout of an earlier run": (f"{OLDER}/{LAYOUT}", LAYOUT, "sweep"),
    "graph of an earlier run": (f"{OLDER}/{GRAPH}/edges.parquet", f"{GRAPH}/edges.parquet", "layout"),
    "sweep of an earlier run": (f"{OLDER}/sweep.parquet", "sweep.parquet", "plot_grid"),
    "stability of an earlier run": (f"{OLDER}/stability.parquet", "stability.parquet", "plot_stability"),
    "metrics of an earlier run": (f"{OLDER}/metrics.parquet", "metrics.parquet", "plot_metrics"),
    "rows of another data set": ("../wine/rows.parquet", "rows.parquet", "sweep"),
    "sweep of another data set": ("../wine/sweep.parquet", "sweep.parquet", "plot_grid"),
    "metrics of another data set": ("../wine/metrics.parquet", "metrics.parquet", "plot_metrics"),
    "points of another row": (of_row(f"points/{ROW}/points.parquet", 5), f"points/{ROW}/points.parquet", "atlas"),
}


@pytest.mark.parametrize("swap", SWAPS)
def test_a_swapped_file_is_refused_by_the_next_that_reads_it(work, swap):
    """With its old time, as a backup brings it back, so that Snakemake sees no reason to make anything else anew."""
    source, target, rule = SWAPS[swap]
    results = work / "results/iris"
    before = (results / target).stat()
    shutil.copyfile(results / source, results / target)
    os.utime(results / target, ns=(before.st_atime_ns, before.st_mtime_ns))
    # A layout rule has the names of the min_dist that it lays out together.
    forced = [rule] if rule != "layout" else ["layout_0p1_0p5"]
    run = finished(work, "--forcerun", *forced, "--until", *forced)  # what comes later may see it too
    assert run.code != 0, run.output
    assert "Traceback" not in run.output
    said = re.findall(r"umap-sweep: (.*)", run.output)
    assert any(Path(target).name in line and "elete" in line for line in said), run.output
    for path in (results / "sweep.parquet", results / "plots/grid.png"):
        if path.exists() and path.name != Path(target).name:
            assert path.stat().st_mtime_ns <= (work / "mine.yaml").stat().st_mtime_ns  # none was made from it


def test_no_flipped_bit_is_taken_for_a_value_or_for_a_record(folder, tmp_path):
    """In values, page heads, footer and record, a bit each, in files of every stage."""
    pick = random.Random(0)
    results = folder / "results/iris"
    names = [KNN_FILE, f"{GRAPH}/edges.parquet", f"{GRAPH}/vertices.parquet", START, LAYOUT, "metrics.parquet"]
    names += [f"points/{ROW}/points.parquet", "high_dimensional/metric=euclidean/pairs.parquet", "stability.parquet"]
    taken = 0
    for name in names:
        whole = (results / name).read_bytes()
        expected, record = store.read(results / name), store.read_record(results / name)
        path = tmp_path / "results/iris" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        places = [pick.randrange(len(whole)) for _ in range(60)]
        # The record and the rest of the footer are small beside the values.
        places += [pick.randrange(len(whole) - min(len(whole), 6000), len(whole)) for _ in range(60)]
        for place in places:
            changed = bytearray(whole)
            changed[place] ^= 1 << pick.randrange(8)
            path.write_bytes(changed)
            try:
                found = store.read(path), store.read_record(path)
            except InputError as error:
                assert str(path) in str(error)
                continue
            # A flip where nothing is read, such as in a statistic, leaves all as it was.
            assert found[1] == record, f"byte {place} of {name}"
            assert (
                found[0]
                .drop_columns(record.get("measured", []))
                .equals(expected.drop_columns(record.get("measured", [])))
            ), f"byte {place} of {name}"
            taken += 1
    assert taken < 0.5 * 120 * len(names)


@pytest.mark.parametrize("name", [KNN_FILE, LAYOUT, "sweep.parquet", "plots/grid.png", "atlas.html", "metrics.csv"])
@pytest.mark.parametrize("fault", ["cut", "emptied", "changed", "deleted", "a folder"])
def test_check_names_a_finished_file_that_is_not_as_it_was(folder, tmp_path, name, fault):
    work = tmp_path / "work"
    shutil.copytree(folder / "results/iris", work / "results/iris")
    path = work / "results/iris" / name
    content = path.read_bytes()
    changed = {"cut": content[:-10], "emptied": b"", "changed": content[:50] + b"\0" + content[51:]}
    path.unlink() if fault in ("deleted", "a folder") else path.write_bytes(changed[fault])
    if fault == "a folder":
        path.mkdir()
    here = Path.cwd()
    os.chdir(work)
    try:
        with pytest.raises(InputError, match=re.escape(f"results/iris/{name} ")):
            manifest.check("results/iris/manifest.json")
    finally:
        os.chdir(here)


class TestCheck:
    """The target."""

    def test_the_manifest_of_another_data_set_is_not_believed(self, work):
        shutil.copyfile(work / "results/wine/manifest.json", work / "results/iris/manifest.json")
        run = finished(work, "check")
        assert run.code != 0
        assert "results/iris/manifest.json is of another sweep, with results/wine/" in run.output

    def test_what_is_made_from_the_data_lies_beside_it(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("iris", "iris_null", "irises"):
            (tmp_path / "results" / name).mkdir(parents=True)
            (tmp_path / "results" / name / "points.parquet").write_bytes(b"points")
        manifest.write([], ["results/iris_null/points.parquet"], "results/iris/manifest.json")
        assert len(manifest.check("results/iris/manifest.json")) == 1
        (tmp_path / "results/iris_null/points.parquet").write_bytes(b"others")
        with pytest.raises(InputError, match=r"results/iris_null/points\.parquet has other content"):
            manifest.check("results/iris/manifest.json")
        manifest.write([], ["results/irises/points.parquet"], "results/iris/manifest.json")
        with pytest.raises(InputError, match=r"is of another sweep, with results/irises/points\.parquet in it"):
            manifest.check("results/iris/manifest.json")

    def test_a_folder_in_the_place_of_the_manifest(self, tmp_path):
        (tmp_path / "manifest.json").mkdir()
        with pytest.raises(InputError, match=r"manifest\.json is damaged\. Delete it and run again"):
            manifest.check(tmp_path / "manifest.json")

    def test_a_finished_sweep_is_as_it_was(self, work):
        run = finished(work, "check")
        assert run.code == 0, run.output
        assert re.search(r"\d+ files of [\d.]+ MB are as they were when the sweep ended", run.output)

    def test_what_it_names_is_made_again_after_it_is_deleted(self, work):
        path = work / "results/iris/plots/grid.png"
        path.write_bytes(path.read_bytes()[:-10])
        run = finished(work, "check")
        assert run.code != 0
        assert "Traceback" not in run.output
        assert "results/iris/plots/grid.png has" in run.output
        path.unlink()
        assert finished(work).code == 0
        assert finished(work, "check").code == 0

    def test_every_file_of_the_results_is_in_the_manifest(self, folder):
        """But for logs, benchmarks, and the manifest."""
        results = folder / "results/iris"
        files = json.loads((results / "manifest.json").read_text())["files"]
        found = {path.relative_to(folder).as_posix() for path in results.rglob("*") if path.is_file()}
        others = {name for name in found if name.split("/")[2] in ("logs", "benchmarks", "manifest.json")}
        assert found - others == set(files)

    def test_a_damaged_manifest_is_not_believed(self, work):
        path = work / "results/iris/manifest.json"
        text = path.read_text()
        for damaged in (text[:-10], "", text.replace('"size": 1', '"size": 2', 1), "[]"):
            path.write_text(damaged)
            run = finished(work, "check")
            assert run.code != 0
            assert "manifest.json is damaged" in run.output
            assert "Traceback" not in run.output


def can_mount() -> bool:
    """Whether a folder can be shown read-only here to one process alone, which holds for root as well."""
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.run([unshare, "--mount", "--map-root-user", "true"]).returncode == 0


def read_only(folder: Path, work: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake in `work` while nothing can be written in `folder`, as on a file system that is read-only."""
    mounted = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$1" && shift && exec "$@"'
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    command += ["--configfile=mine.yaml", *arguments]
    return subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", mounted, str(folder), str(work), *command],
        env=environment.without_ours(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


needs_mounts = pytest.mark.skipif(not can_mount(), reason="no mount namespaces (unshare) here")


@needs_mounts
class TestReadOnly:
    """Results that cannot be written, as those of others or of an archive."""

    @pytest.fixture
    def shared(self, tmp_path):
        """Make a folder with a finished file and its manifest, and another folder that links to all in it."""
        shared, own = tmp_path / "shared", tmp_path / "own"
        (shared / "results/iris").mkdir(parents=True)
        own.mkdir()
        (shared / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
        here = Path.cwd()
        os.chdir(shared)
        try:
            Path("results/iris/metrics.csv").write_text("n_neighbors\n")
            manifest.write([], ["results/iris/metrics.csv"], "results/iris/manifest.json")
        finally:
            os.chdir(here)
        for name in ("results", "mine.yaml"):
            (own / name).symlink_to(shared / name)
        return shared, own

    @pytest.mark.parametrize("target", ["check", "verify"])
    def test_what_to_do_in_the_folder_itself(self, shared, target):
        run = read_only(shared[0], shared[0], target)
        assert run.returncode != 0
        assert f"Nothing can be written in {shared[0]}" in run.stdout
        assert f"(ln -s {shared[0]}/* .), and run there" in run.stdout
        assert "Traceback" not in run.stdout and "OSError" not in run.stdout

    def test_check_from_a_folder_with_links(self, shared):
        run = read_only(*shared, "check")
        assert run.returncode == 0, run.stdout
        assert "1 files of 0.0 MB are as they were when the sweep ended" in run.stdout

    @pytest.mark.parametrize("target", ["take_over", "verify"])
    def test_what_writes_says_so(self, shared, target):
        run = read_only(*shared, target)
        assert run.returncode != 0
        assert "Nothing can be written in results/iris, where results go; copy them" in run.stdout
        assert "Traceback" not in run.stdout and "OSError" not in run.stdout


PATHS = {
    "results/wine/sweep.parquet": "--config dataset=wine",
    "results/wine/plots/grid.png": "--config dataset=wine",
    "results/wine/manifest.json": "--config dataset=wine",
    "results/wine/metrics.parquet": "--config dataset=wine",
    "results/wein/sweep.parquet": "data set wein; known are .*, nearest is 'wine'",
    "results/wein/data/data.parquet": "data set wein; known are",
    "results/wein/rows.parquet": "data set wein; known are",
    f"results/wein/{LAYOUT}": "data set wein; known are",
    f"results/iris/{KNN_FILE}".replace("euclidean", "euclidian"): "metric euclidian; allowed is one of",
    f"results/iris/{KNN_FILE}".replace("seed=10", "seed=4294967296"): "seed 4294967296; allowed is",
    f"results/iris/{KNN_FILE}".replace("knn_k=20", "knn_k=1"): "knn_k 1; allowed is",
    f"results/iris/{KNN_FILE}".replace("knn_k=20", "knn_k=020"): "knn_k=020; write knn_k=20",
    f"results/iris/{KNN_FILE}".replace("knn_jobs=1", "knn_jobs=0"): "knn_jobs 0; allowed is",
    f"results/iris/{GRAPH}/edges.parquet".replace("neighbors=15", "neighbors=1"): "n_neighbors 1; allowed is",
    f"results/iris/{GRAPH}/edges.parquet".replace("neighbors=15", "neighbors=30"): "more than its k-NN's 20",
    f"results/iris/{START}".replace("/seed=10", "/seed=-1"): "",
    f"results/iris/{START}".replace("/seed=10/", "/seed=99999999999/"): "seed 99999999999; allowed is",
    f"results/iris/{LAYOUT}".replace(
        "min_dist=0.1", "min_dist=3"
    ): "min_dist=3; write min_dist=3.0|more than umap.spread",
    f"results/iris/{LAYOUT}".replace("min_dist=0.1", "min_dist=3.0"): "more than umap.spread",
    f"results/iris/embeddings/{CELL}/embedding.parquet".replace("0.1/", "0.10/"): "write min_dist=0.1",
    f"results/iris/metrics/{ROW}/metrics.parquet".replace("neighbors=15", "neighbors=7"): "no cell of",
    "results/iris/plots/grid_by=nothing.png": "no figure grid_by=nothing; it has grid",
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_means_what_it_says(folder, path):
    run = finished(folder, path, "--dry-run")
    assert run.code != 0, run.output
    assert "Traceback" not in run.output
    assert re.search(PATHS[path], run.output), run.output


def start(work: Path, *targets: str, most_bytes: int | None = None) -> subprocess.Popen:
    """Start the sweep as a process group of its own, perhaps one that may write no larger files."""
    (work / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    command += ["--configfile=mine.yaml", *targets]
    output = (work / "output").open("w")
    inherited = environment.without_ours(os.environ)
    limit = None if most_bytes is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    return subprocess.Popen(
        command, cwd=work, env=inherited, stdout=output, stderr=output, start_new_session=True, preexec_fn=limit
    )


def kill_tree(process: subprocess.Popen) -> None:
    """Kill a process and all that it has started, at one time."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(holds: Callable[[], object], seconds: float = 300) -> None:
    """Return once `holds` does; fail where it does not in this time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "what was waited for has not come"
        time.sleep(0.05)


# What a run has come to when it is killed.
KILLED_AT = {
    "k-NN": lambda work: list((work / ".snakemake/locks").glob("*.output.lock")),
    "graph": lambda work: (work / "results/iris" / KNN_FILE).exists(),
    "layout": lambda work: list((work / "results/iris/initial_layout").rglob("*.parquet")),
    "metrics": lambda work: list((work / "results/iris/layouts").rglob("*.parquet")),
}


@pytest.mark.parametrize("moment", KILLED_AT)
def test_the_same_command_goes_on_after_the_whole_tree_is_killed(folder, tmp_path, moment):
    work = tmp_path / "work"
    work.mkdir()
    targets = () if moment == "metrics" else STAGES
    process = start(work, *targets)
    wait_until(lambda: KILLED_AT[moment](work))
    kill_tree(process)
    left = work / "results/iris/layouts" / CELL
    left.mkdir(parents=True, exist_ok=True)
    (left / f".layout.parquet.{process.pid}.partial").write_bytes(b"half")
    assert list((work / ".snakemake/locks").iterdir()), "the run ended before it was killed"
    planned = finished(work, *targets, "--dry-run")
    assert planned.code == 0, planned.output
    run = finished(work, *targets)
    assert run.code == 0, run.output
    assert "going on from what it has finished" in run.output
    assert fingerprints(work) == fingerprints(folder)
    assert not list(work.rglob("*.partial"))
    assert finished(work, *targets, "--dry-run").jobs == {}


def test_an_interrupted_run_says_at_its_end_how_to_go_on(tmp_path):
    """By Ctrl-C, which reaches all processes of the terminal; what it says is the last line, and holds."""
    process = start(tmp_path)
    output = tmp_path / "output"
    wait_until(lambda: "(Rule: knn)" in output.read_text())
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() != 0
    lines = output.read_text().splitlines()
    assert lines[-1].endswith("type the same command again."), lines
    planned = finished(tmp_path, "--dry-run")
    assert planned.code == 0, planned.output
    assert "knn" not in planned.jobs and "graph" in planned.jobs


def test_a_second_run_beside_a_living_one_is_refused(tmp_path):
    process = start(tmp_path)
    try:
        wait_until(lambda: list((tmp_path / ".snakemake/locks").glob("*.lock")))
        run = finished(tmp_path)
        assert run.code != 0
        assert "Another run is alive in this folder" in run.output
        assert process.poll() is None
        assert list((tmp_path / ".snakemake/locks").glob("*.lock"))
        run = finished(tmp_path, "--nolock")
        assert run.code != 0
        assert "Another run is alive in this folder" in run.output
        assert "Traceback" not in run.output and "InputFunctionException" not in run.output
    finally:
        kill_tree(process)


def test_a_job_that_outlives_its_run_is_waited_for(folder, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    process = start(work, *STAGES)
    wait_until(lambda: KILLED_AT["graph"](work))
    kill_tree(process)
    # As a job does that is still at work on another node.
    with (work / ".snakemake/umap-sweep.jobs").open("a") as job:
        fcntl.flock(job, fcntl.LOCK_SH)
        process = start(work, *STAGES)
        said = "waiting for a job of the run that was killed to end"
        wait_until(lambda: said in (work / "output").read_text())
        made = fingerprints(work)
        time.sleep(1)
        assert process.poll() is None and fingerprints(work) == made
    assert process.wait() == 0, (work / "output").read_text()
    assert fingerprints(work) == fingerprints(folder)


def test_a_full_disk_leaves_nothing_half_written(folder, tmp_path):
    """Files may be one byte smaller than the largest of the stages'."""
    largest = max((folder / path for path in fingerprints(folder)), key=lambda path: path.stat().st_size)
    process = start(tmp_path, *STAGES, most_bytes=largest.stat().st_size - 1)
    assert process.wait() != 0
    output = (tmp_path / "output").read_text()
    assert re.search("umap-sweep: The system refused a file: .*File too large", output), output
    assert not (tmp_path / largest.relative_to(folder)).exists()
    assert not list((tmp_path / "results").rglob("*.partial"))
    run = finished(tmp_path, *STAGES)
    assert run.code == 0, run.output
    assert fingerprints(tmp_path) == fingerprints(folder)


class TestClock:
    """A clock that went backwards. Snakemake looks at the times alone of files beyond a size, which is lowered here."""

    BY_TIME = ("--max-checksum-file-size", "0")

    @pytest.mark.parametrize("hours", [24, -24])
    def test_what_was_made_before_and_after_is_mended_by_the_same_command(self, folder, work, hours):
        """Data, k-NN and graphs later than what is made from them, and layouts earlier."""
        moved = ("data.parquet", "knn.parquet", "edges.parquet") if hours > 0 else ("layout.parquet", "sweep.parquet")
        for path in (work / "results/iris").rglob("*.parquet"):
            if path.name in moved:
                at = path.stat().st_mtime + 3600 * hours
                os.utime(path, (at, at))
        run = finished(work, *self.BY_TIME)
        assert run.code == 0, run.output
        assert ("files in results/ are later than now" in run.output) == (hours > 0)
        assert fingerprints(work) == fingerprints(folder)
        assert finished(work, *self.BY_TIME, "--dry-run").jobs == {}
        assert finished(work, "check").code == 0

    def test_a_users_file_of_the_future_is_refused_before_anything_runs(self, tmp_path):
        path = tmp_path / "my data.csv"
        path.write_text("a,b\n" + "".join(f"{row},{row * row}\n" for row in range(30)))
        at = time.time() + 3600
        os.utime(path, (at, at))
        mine = {**CONFIG, "dataset": "mine", "datasets": {"mine": {"source": "file", "path": path.name}}}
        mine["claims"] = {"dataset": "mine"}
        run = snakemake(tmp_path, config=mine)
        assert run.code != 0
        assert "datasets.mine.path is 'my data.csv', which was changed at" in run.output
        assert "touch 'my data.csv'" in run.output
        assert run.jobs == {}


@needs_mounts
@pytest.mark.parametrize("shared", [".", "results"])
def test_results_that_others_share_read_only(work, shared):
    """What is finished is found so, where Snakemake can have its locks; else a sentence says what to do."""
    for arguments, said in (([], "Nothing to be done"), (["check"], "are as they were when the sweep ended")):
        run = read_only(work / shared, work, *arguments)
        if shared == "results":
            assert run.returncode == 0, run.stdout
            assert said in run.stdout
            continue
        assert run.returncode != 0
        assert "Nothing can be written in" in run.stdout and "ln -s" in run.stdout, run.stdout
        assert "Traceback" not in run.stdout and "OSError" not in run.stdout


def test_every_record_says_its_place_and_is_held_by_a_checksum(folder):
    for path in (folder / "results/iris").rglob("*.parquet"):
        metadata = pq.read_schema(path).metadata
        assert json.loads(metadata[store.RECORD])["place"] == store.place_of(path), path
        assert store.RECORD_SHA256 in metadata


class TestTakeOver:
    """Results that were moved without their times."""

    @pytest.fixture
    def moved(self, folder, tmp_path):
        """Copy the results, with times in the order of their names, and nothing of Snakemake's."""
        work = tmp_path / "work"
        shutil.copytree(folder / "results/iris", work / "results/iris")
        for number, path in enumerate(sorted(work.rglob("*"), reverse=True)):
            os.utime(path, (1.7e9 + number, 1.7e9 + number))
        return work

    def test_it_plans_no_stage_again(self, moved):
        assert finished(moved, "--dry-run").laid_out == 8
        run = finished(moved, "take_over")
        assert run.code == 0, run.output
        assert "are proven by their records, and stay" in run.output
        planned = finished(moved, "--dry-run")
        stages = {"fetch", "knn", "graph", "initial_layout", "high_dimensional", "cell_metrics", "seed_pairs"}
        assert planned.laid_out == 0
        assert not (stages - {"seed_pairs"}) & set(planned.jobs)

    def test_what_is_not_proven_is_made_again(self, moved):
        for target, source in (
            (LAYOUT, of_seed(LAYOUT)),
            (of_seed(f"points/{ROW}/points.parquet"), f"points/{ROW}/points.parquet"),
        ):
            shutil.copyfile(moved / "results/iris" / source, moved / "results/iris" / target)
        run = finished(moved, "take_over")
        assert run.code == 0, run.output
        assert "makes the others again" in run.output
        planned = finished(moved, "--dry-run")
        assert planned.laid_out == 2  # the cells of a row share a job
        assert planned.jobs["cell_metrics"] == 2
        assert finished(moved).code == 0

    def test_other_settings_are_not_proven(self, moved):
        other = {**CONFIG, "umap": {"n_epochs": 60}}
        assert snakemake(moved, "take_over", config=other).code == 0
        assert snakemake(moved, "--dry-run", config=other).laid_out == 8
