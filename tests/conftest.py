"""What the tests share: the CPU held, and one way to store data and to run the stages on it."""

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

from umap_sweep import environment  # noqa: E402

# What the pipeline's jobs run under, with a pool for the widest k-NN here; it must be set before numba is imported.
if environment.CPU_VARIABLE not in os.environ:
    os.environ.update(environment.job_variables(knn_jobs=4, cpu=environment.default_cpu()))

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pytest  # noqa: E402
import yaml  # noqa: E402

from umap_sweep import store  # noqa: E402

# The files that take longest, which begin first, so that no process ends long after the others.
LONGEST = ("test_faults.py", "test_slurm.py", "test_claims.py", "test_layout_jobs.py", "test_reuse.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; each file's tests stay in their order."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


UMAP_DEFAULTS = {
    "n_components": 2,
    "n_epochs": None,
    "spread": 1.0,
    "init": "spectral",
    "learning_rate": 1.0,
    "repulsion_strength": 1.0,
    "negative_sample_rate": 5,
    "local_connectivity": 1.0,
    "set_op_mix_ratio": 1.0,
    "metric_kwds": {},
}


def store_data(folder: Path, features: np.ndarray) -> Path:
    """Store features as the fetch stage does, and return the path."""
    features = np.ascontiguousarray(features, dtype=np.float32)
    values = pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), features.shape[1])
    table = pa.table({"features": values})
    about = {"rows": len(features), "source_rows": len(features), "origin": {}}
    about["feature_names"] = [str(number) for number in range(features.shape[1])]
    path = folder / "data.parquet"
    store.write(path, table, store.make_record("data", {"dataset": "test"}, store.fingerprint(table), **about))
    return path


def store_rows(folder: Path, count: int, **columns: Any) -> Path:
    """Store what names and describes rows, ids from 0 and these columns, as its stage does, and return the path."""
    table = pa.table({"id": np.arange(count), **columns})
    path = folder / "rows.parquet"
    store.write(path, table, store.make_record("rows", {"dataset": "test"}, store.fingerprint(table)))
    return path


@dataclass
class Stages:
    """The stages of a sweep on one data set, run as functions on stored files."""

    folder: Path
    features: np.ndarray
    metric: str = "euclidean"
    k: int = 15
    knn_seed: int = 10
    n_jobs: int = 1
    method: str = "auto"
    threads: int = 1
    metric_kwds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Store the data and compute the k-NN."""
        from umap_sweep.stages import knn

        self.data = store_data(self.folder, self.features)
        self.knn = self.folder / "knn.parquet"
        knn.compute(
            self.data,
            self.knn,
            self.k,
            self.metric,
            self.method,
            self.knn_seed,
            self.n_jobs,
            self.metric_kwds,
            self.threads,
        )

    def cell(self, n_neighbors: int, min_dist: float, seed: int, rows: Path | None = None, **umap: Any) -> np.ndarray:
        """Return one cell's coordinates, float32, shape (n, n_components); a target is in `rows`."""
        from umap_sweep.stages import graph, initial_layout, layouts

        umap = UMAP_DEFAULTS | umap
        edges, vertices, start, out = (
            self.folder / f"{name}.parquet" for name in ("edges", "vertices", "start", "layout")
        )
        graph.compute(self.knn, edges, vertices, n_neighbors, umap, rows=rows)
        initial_layout.compute(self.data, self.knn, edges, vertices, start, seed, self.metric, umap)
        layouts.compute(edges, vertices, start, [out], [min_dist], {}, umap)
        names = [f"umap_{d + 1}" for d in range(umap["n_components"])]
        return np.stack([store.read(out).column(name).to_numpy() for name in names], axis=1)

    def plain(
        self, n_neighbors: int, min_dist: float, seed: int, y: np.ndarray | None = None, **umap: Any
    ) -> np.ndarray:
        """Return the same cell by umap-learn's own call on the stored k-NN."""
        return self.fit(n_neighbors, min_dist, seed, y, **umap).embedding_

    def fit(self, n_neighbors: int, min_dist: float, seed: int, y: np.ndarray | None = None, **umap: Any) -> Any:
        """Return umap-learn's own model of the cell."""
        from umap import UMAP

        table = store.read(self.knn)
        columns = [
            np.stack([table.column(f"{kind}_{rank}").to_numpy() for rank in range(n_neighbors)], axis=1)
            for kind in ("index", "distance")
        ]
        model = UMAP(
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            random_state=seed,
            metric=self.metric,
            metric_kwds=self.metric_kwds,
            precomputed_knn=(*columns, None),
            force_approximation_algorithm=True,
            **umap,
        )
        return model.fit(np.ascontiguousarray(self.features, dtype=np.float32), y)


@dataclass
class Run:
    """What a Snakemake call left behind."""

    code: int
    output: str

    @property
    def jobs(self) -> dict[str, int]:
        """Number of jobs by rule, from the table that Snakemake prints before it starts."""
        table = self.output.partition("Job stats:")[2].partition("total")[0]
        return {line.split()[0]: int(line.split()[1]) for line in table.splitlines()[3:] if line.strip()}

    @property
    def laid_out(self) -> int:
        """Number of cells that are to be laid out, whichever of them share a job."""
        names = {name: re.search(r"(?<!initial_)layout((?:_\d\w*?)*)$", name) for name in self.jobs}
        return sum(max(name[1].count("_"), 1) * self.jobs[rule] for rule, name in names.items() if name)


# Snakemake is started some hundred times, and takes a second to import. This process has imported it, with all that its
# command line asks of its plugins, and each run is a fork of it, which begins and ends as `python -m snakemake` does.
FORKS = """
import json, os, sys
from snakemake import cli
cli.get_argument_parser()
for line in sys.stdin:
    arguments, folder, variables, output = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
os.chdir(folder)
os.environ.clear()
os.environ.update(variables)
nothing, file = os.open(os.devnull, os.O_RDONLY), os.open(output, os.O_WRONLY)
for source, target in ((nothing, 0), (file, 1), (file, 2)):
    os.dup2(source, target)
sys.path[0] = folder
sys.argv = ["snakemake", *arguments]
cli.main()
"""


class Forks:
    """Runs of Snakemake, each a fork of one process that has imported it."""

    def __init__(self) -> None:
        """Start the process."""
        command = [sys.executable, "-c", FORKS]
        inherited = environment.without_ours(os.environ)
        self._process = subprocess.Popen(
            command, env=inherited, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def run(self, arguments: list[str], folder: Path, variables: dict[str, str]) -> tuple[int, str]:
        """Run Snakemake in a folder with these environment variables; return its exit code and what it wrote."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.NamedTemporaryFile("r") as output:
            self._process.stdin.write(json.dumps([arguments, str(folder), variables, output.name]) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline()), output.read()


@cache
def forks() -> Forks:
    """Return the process that this one's runs of Snakemake are forks of."""
    return Forks()


def snakemake(
    folder: Path,
    *arguments: str,
    cores: int | None = 2,
    config: dict[str, Any] | None = None,
    snakefile: Path = ROOT / "Snakefile",
    profile: str = "default",
    variables: dict[str, str] | None = None,
) -> Run:
    """Run the pipeline in `folder`, with `config` merged over the default configuration, or another workflow.

    A cluster's profile has no number of cores; `variables` are added to the environment of a process of its own.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)]
    command += ["--cores", str(cores)] if cores else []
    command += ["--workflow-profile", str(ROOT / "workflow" / "profiles" / profile)]
    command += arguments
    if config is not None:
        (folder / "mine.yaml").write_text(yaml.safe_dump(config))
        command += ["--configfile", "mine.yaml"]
    # These are the pipeline's own business; what this process was given must not reach it.
    inherited = environment.without_ours(os.environ)
    if variables is None:
        return Run(*forks().run(command[3:], folder, inherited))
    done = subprocess.run(
        command, cwd=folder, env=inherited | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return Run(done.returncode, done.stdout)
