"""The sweep as a part of something larger: a module of another workflow, a shared cache, a container, the catalog."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, Run, snakemake

from umap_sweep import environment, store
from umap_sweep.errors import InputError

IRIS = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "knn": {"n_neighbors": 12},
    "grid": {"n_neighbors": [5, 12], "min_dist": [0.1], "seed": [10]},
    "umap": {"n_epochs": 30},
}
IMPORT = """
module {name}:
    snakefile: "{snakefile}"
    config: {config}
    prefix: "{name}"

use rule * from {name} as {name}_*
"""


def importing(folder, **configs) -> dict:
    """Write a workflow that imports this one under each name, and return how to run it."""
    snakefile = folder / "importing.smk"
    snakefile.write_text(
        "\n".join(
            IMPORT.format(name=name, config=config, snakefile=ROOT / "Snakefile") for name, config in configs.items()
        )
    )
    return {"snakefile": snakefile}


def fingerprints(folder, pattern: str = "**/*.parquet") -> dict[str, str]:
    """Return the recorded fingerprints of the stored stages below `folder`, by stage and key."""
    records = [store.read_record(path) for path in folder.glob(pattern)]
    return {json.dumps([one["stage"], one["key"]], sort_keys=True): one["fingerprint"] for one in records}


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """Return the folder of the finished example of the documentation, and the run that finished it."""
    folder = tmp_path_factory.mktemp("example")
    return folder, snakemake(folder, snakefile=ROOT / "docs/module/Snakefile")


class TestModule:
    """Another workflow imports this one, with a configuration and a prefix of its own."""

    def test_the_example_goes_on_with_a_cell(self, example):
        folder, run = example
        assert run.code == 0, run.output
        assert run.jobs["best_cell"] == run.jobs["all"] == 1  # its own target is the default one
        assert run.laid_out == 4
        assert "umap_atlas" not in run.jobs
        metrics = pd.read_parquet(folder / "embedding/results/flowers/metrics.parquet")
        best = metrics.sort_values("recall_15").iloc[-1]
        cell = pd.read_csv(folder / "best_cell.csv")
        assert len(cell) == 150
        assert set(cell["n_neighbors"]) == {best["n_neighbors"]}
        assert set(cell["min_dist"]) == {best["min_dist"]}
        assert set(cell["label"]) == {"setosa", "versicolor", "virginica"}

    def test_everything_but_the_users_paths_is_below_the_prefix(self, example):
        folder, _ = example
        assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
            *("embedding", "flowers.csv", "best_cell.csv")
        }
        assert [path.name for path in (folder / "embedding/results").iterdir()] == ["flowers"]

    def test_nothing_to_do_afterwards(self, example):
        folder, _ = example
        run = snakemake(folder, "--dry-run", snakefile=ROOT / "docs/module/Snakefile")
        assert "Nothing to be done" in run.output

    def test_newer_scripts_are_no_reason_to_run_again(self, example):
        """Nor where another workflow's rules are looked at as Snakemake does it by itself."""
        for path in (ROOT / "scripts").glob("*.py"):
            path.touch()
        run = snakemake(example[0], "--dry-run", snakefile=ROOT / "docs/module/Snakefile")
        assert "Nothing to be done" in run.output

    def test_a_changed_table_is_embedded_again(self, example):
        folder, _ = example
        run = snakemake(folder, "--dry-run", "--forcerun", "flowers", snakefile=ROOT / "docs/module/Snakefile")
        assert run.jobs["umap_fetch"] == run.jobs["umap_knn"] == 1
        assert run.laid_out == 4

    def test_verify_and_fingerprints(self, example):
        folder, _ = example
        run = snakemake(folder, "umap_fingerprints", snakefile=ROOT / "docs/module/Snakefile")
        assert run.code == 0, run.output
        # It is a file of the user's, to be committed: not below the prefix.
        assert "knn" in (folder / "fingerprints.json").read_text()
        run = snakemake(folder, "umap_verify", snakefile=ROOT / "docs/module/Snakefile")
        assert run.code == 0, run.output
        assert "equal to the stored results, bit for bit" in run.output
        assert "equal to the committed fingerprints, bit for bit" in run.output
        assert store.read(folder / "embedding/results/flowers/verify.parquet").num_rows == 2 * (2 + 2 * 2 + 2 + 4 + 4)
        assert not (folder / "embedding/results/flowers/verify").exists()

    def test_clusters_come_back_as_an_annotation(self, tmp_path):
        """The layouts are made before the file that describes the rows, and stay where it changes."""
        clusters = {"snakefile": ROOT / "docs/clusters/Snakefile"}
        run = snakemake(tmp_path, **clusters)
        assert run.code == 0, run.output
        found = pd.read_csv(tmp_path / "clusters.csv")["cluster"]
        assert found.notna().sum() > 100
        purity = pd.read_csv(tmp_path / "results/flowers/annotations.csv").set_index("annotation").loc["cluster"]
        assert purity["purity"].min() > 0.8
        assert set(purity["categories"]) == {found.nunique()}
        run = snakemake(tmp_path, "--dry-run", "--config", "min_cluster_size=30", **clusters)
        assert run.jobs["clusters"] == run.jobs["umap_atlas"] == 1
        assert run.laid_out == 0
        assert not {"umap_fetch", "umap_knn", "umap_graph"} & set(run.jobs)

    @pytest.mark.parametrize("target", ["umap_all", "umap_claims", "umap_timing"])
    def test_other_targets_are_planned(self, example, target):
        folder, _ = example
        run = snakemake(folder, target, "--dry-run", snakefile=ROOT / "docs/module/Snakefile")
        assert run.code == 0, run.output
        assert run.jobs[target] == 1

    def test_two_sweeps_in_one_workflow(self, tmp_path):
        """Each has its metric and its prefix, and the bits that it has alone."""
        alone = tmp_path / "alone"
        alone.mkdir()
        cell = IRIS | {"grid": IRIS["grid"] | {"n_neighbors": [5]}}
        assert snakemake(alone, "results/iris/manifest.json", config=cell).code == 0
        cosine = cell | {"knn": {"n_neighbors": 12, "metric": "cosine"}}
        run = snakemake(
            tmp_path,
            *("euclidean/results/iris/manifest.json", "cosine/results/iris/manifest.json"),
            **importing(tmp_path, euclidean=cell, cosine=cosine),
        )
        assert run.code == 0, run.output
        assert run.jobs["euclidean_knn"] == run.jobs["cosine_knn"] == 1
        cells = {
            name: fingerprints(tmp_path / name / "results/iris", "embeddings/**/*.parquet")
            for name in ("alone", "euclidean", "cosine")
        }
        assert len(cells["alone"]) == 1
        assert cells["euclidean"] == cells["alone"]
        assert all('"metric": "cosine"' in key for key in cells["cosine"])

    def test_a_wrong_value_names_the_module(self, tmp_path):
        run = snakemake(tmp_path, "--dry-run", **importing(tmp_path, sweep=IRIS | {"grd": {}}))
        assert run.code != 0
        assert "sweep: the configuration has an unknown key 'grd'" in run.output
        assert "Traceback" not in run.output

    def test_sweeps_of_one_workflow_share_the_cpu_level(self, tmp_path):
        run = snakemake(tmp_path, "--dry-run", **importing(tmp_path, one=IRIS, two=IRIS | {"cpu": "x86-64-v2"}))
        assert run.code != 0
        assert "two: cpu is x86-64-v2, and x86-64-v3 in another sweep of this workflow" in run.output

    def test_the_pool_is_that_of_the_widest_knn(self, monkeypatch):
        monkeypatch.setattr(environment, "_held", [])
        monkeypatch.setattr(os, "environ", {**os.environ})
        for jobs, pool in ((2, "2"), (6, "6"), (3, "6")):
            environment.hold(jobs, "x86-64-v3")
            assert os.environ["NUMBA_NUM_THREADS"] == pool
        with pytest.raises(InputError, match="give both the same"):
            environment.hold(2, "native")

    def test_environments_of_rules_are_lent_the_package(self, monkeypatch, tmp_path):
        """A Python that has nothing installed imports the package of the process that plans, and nothing beside it."""
        monkeypatch.setattr(os, "environ", {**os.environ, "XDG_CACHE_HOME": str(tmp_path)})
        os.environ.pop("PYTHONPATH", None)
        for _ in range(2):
            environment.lend_package()
        assert os.pathsep not in os.environ["PYTHONPATH"]
        code = "import umap_sweep.job as job, importlib.util as u; print(job.__file__, u.find_spec('numpy'))"
        python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        command = [python, "-S", "-c", code]
        done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=True)
        assert Path(done.stdout.split()[0]).samefile(ROOT / "src/umap_sweep/job.py")
        assert done.stdout.split()[1] == "None"

    def test_each_of_two_equal_copies_lends_itself(self, tmp_path):
        """Of which one may be changed, or deleted, while the other is in use."""
        program = (
            "import os; from umap_sweep.environment import lend_package as f; f(); print(os.environ['PYTHONPATH'])"
        )
        for name in ("one", "two"):
            shutil.copytree(ROOT / "src/umap_sweep", tmp_path / name / "umap_sweep")
            inherited = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(tmp_path / name)}
            done = subprocess.run([sys.executable, "-c", program], env=inherited, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            lent = Path(done.stdout.split(os.pathsep)[0]) / "umap_sweep"
            assert lent.samefile(tmp_path / name / "umap_sweep")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a git repository of the project as it is, with a tag."""
    folder = tmp_path_factory.mktemp("git") / "umap-sweep"
    kept = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("workflow", "scripts", "envs", "config", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=kept)
    for name in ("Snakefile", "config.yaml", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    git = ["git", "-C", folder, "-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "All"], ["tag", "v1"]):
        subprocess.run([*git, *arguments], check=True)
    return folder


class TestDeployment:
    """The workflow from a git address, with nothing of it in the folder where it runs, as `snakedeploy` sets it up."""

    SNAKEFILE = """
configfile: "config/config.yaml"


module umap_sweep:
    snakefile:
        "git+file://{repository}/workflow/Snakefile@v1"
    config:
        config


use rule * from umap_sweep
"""

    @pytest.fixture
    def deployed(self, repository, tmp_path):
        """Return an empty folder with what `snakedeploy deploy-workflow` writes into one."""
        shutil.copytree(repository / "config", tmp_path / "config")
        (tmp_path / "workflow").mkdir()
        (tmp_path / "workflow/Snakefile").write_text(self.SNAKEFILE.format(repository=repository))
        return tmp_path

    def run(self, folder: Path, *arguments: str, **also) -> Run:
        return snakemake(folder, *arguments, snakefile=folder / "workflow/Snakefile", **also)

    def test_it_runs_to_the_grid_and_then_has_nothing_to_do(self, deployed):
        config = yaml.safe_load((deployed / "config/config.yaml").read_text())
        config |= {name: IRIS[name] for name in ("dataset", "datasets", "knn", "grid")}
        (deployed / "config/config.yaml").write_text(yaml.safe_dump(config))
        run = self.run(deployed)
        assert run.code == 0, run.output
        assert (deployed / "results/iris/plots/grid.png").stat().st_size > 10_000
        assert (deployed / "results/iris/atlas.html").exists()
        assert "Nothing to be done" in self.run(deployed, "--dry-run").output
        run = self.run(deployed, "verify")
        assert "equal to the stored results, bit for bit" in run.output

    def test_the_default_target_is_the_sweep(self, deployed):
        run = self.run(deployed, "--dry-run")
        assert run.code == 0, run.output
        assert run.jobs["all"] == 1
        assert run.laid_out == 16

    @pytest.mark.parametrize(
        ("installed", "said"),
        [("raise ImportError", "it is not installed"), ("__version__ = '0.0.1'", "0.0.1 is installed")],
        ids=["none", "another"],
    )
    def test_without_its_package_one_sentence_says_the_command(self, repository, deployed, installed, said):
        (deployed / "stand-in/umap_sweep").mkdir(parents=True)
        (deployed / "stand-in/umap_sweep/__init__.py").write_text(installed)
        variables = {"PYTHONPATH": str(deployed / "stand-in")}
        run = self.run(deployed, "--dry-run", variables=variables)
        assert run.code != 0
        assert f"and {said} where Snakemake runs" in run.output
        assert f'python -m pip install "git+file://{repository}@v1"' in run.output
        assert "Traceback" not in run.output

    def test_a_clone_says_its_own_folder(self, tmp_path):
        (tmp_path / "umap_sweep").mkdir()
        (tmp_path / "umap_sweep/__init__.py").write_text("__version__ = '0.0.1'")
        run = snakemake(tmp_path, "--dry-run", variables={"PYTHONPATH": str(tmp_path)})
        assert run.code != 0
        assert f"python -m pip install {ROOT}\n" in run.output


KNN = "results/iris/knn/metric=euclidean/method=auto/knn_k=12/knn_seed=10/knn_jobs=1/knn.parquet"
LOG = "results/iris/logs/{}knn/metric=euclidean/knn_k=12/knn_seed=10/knn_jobs=1.log"


def cached(folder, cache, *targets: str, **sections: dict) -> Run:
    """Run targets in a project of its own, with the cache."""
    folder.mkdir(exist_ok=True)
    config = IRIS | {name: IRIS.get(name, {}) | keys for name, keys in sections.items()}
    run = snakemake(folder, *targets, "--cache", config=config, variables=cache)
    assert run.code == 0, run.output
    return run


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return what a run is given to use one cache."""
    return {"SNAKEMAKE_OUTPUT_CACHE": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def first(tmp_path_factory, cache):
    """Return a project that has filled the cache."""
    folder = tmp_path_factory.mktemp("first")
    cached(folder, cache, KNN)
    return folder


class TestCache:
    """Projects that share Snakemake's cache between workflows compute one k-NN once."""

    def test_the_second_project_computes_no_knn(self, first, cache, tmp_path):
        assert "exact k-NN of 150 rows" in (first / LOG.format("")).read_text()
        cached(tmp_path, cache, KNN)
        assert (tmp_path / KNN).read_bytes() == (first / KNN).read_bytes()
        # Snakemake makes the logs, and no script has written into them.
        assert (tmp_path / LOG.format("")).read_text() == ""
        assert (tmp_path / "results/iris/logs/fetch.log").read_text() == ""
        run = snakemake(tmp_path, KNN, "--dry-run", config=IRIS)
        assert "Nothing to be done" in run.output  # nor without the cache

    def test_an_imported_sweep_shares_it_too(self, first, cache, tmp_path):
        """A prefix is not part of the key."""
        target = f"embedding/{KNN}"
        run = snakemake(tmp_path, target, "--cache", variables=cache, **importing(tmp_path, embedding=IRIS))
        assert run.code == 0, run.output
        assert (tmp_path / target).samefile(first / KNN)

    def test_another_key_is_another_knn(self, first, cache, tmp_path):
        """Nothing that is in the path alone is overlooked: neither k nor metric, seed or number of jobs."""
        keys = [
            {"metric": "euclidean", "n_neighbors": 12, "seed": 10, "n_jobs": 1} | one
            for one in ({"n_neighbors": 13}, {"seed": 11}, {"n_jobs": 2}, {"metric": "manhattan"})
        ]
        place = "metric={metric}/method=auto/knn_k={n_neighbors}/knn_seed={seed}/knn_jobs={n_jobs}"
        paths = [f"results/iris/knn/{place.format(**key)}/knn.parquet" for key in keys]
        cached(tmp_path, cache, *paths)
        for path, key in zip(paths, keys, strict=True):
            found = store.read_record(tmp_path / path)["key"]
            assert {name: found[name] for name in key} == key

    def test_verify_takes_nothing_from_the_cache(self, first, cache, tmp_path):
        cell = {"grid": {"n_neighbors": [12]}}
        cached(tmp_path, cache, "results/iris/manifest.json", **cell)
        before = sorted(os.listdir(cache["SNAKEMAKE_OUTPUT_CACHE"]))
        run = cached(tmp_path, cache, "verify", **cell)
        assert "equal to the stored results, bit for bit" in run.output
        assert "exact k-NN of 150 rows" in (tmp_path / LOG.format("verify/")).read_text()
        assert "150 rows" in (tmp_path / "results/iris/logs/verify/fetch.log").read_text()
        assert sorted(os.listdir(cache["SNAKEMAKE_OUTPUT_CACHE"])) == before

    def test_a_file_is_known_by_its_content(self, cache, tmp_path):
        config = {
            "dataset": "mine",
            "datasets": {"mine": {"source": "file", "path": "mine.csv"}},
            "grid": {"n_neighbors": [5], "min_dist": [0.1]},
            "knn": {"n_neighbors": 8},
        }
        target = "results/mine/data/data.parquet"
        stored = []
        for name, seed in (("one", 0), ("same", 0), ("other", 1)):
            folder = tmp_path / name
            folder.mkdir()
            values = np.random.RandomState(seed).normal(size=(30, 3))
            pd.DataFrame(values, columns=list("abc")).to_csv(folder / "mine.csv", index=False)
            assert snakemake(folder, target, "--cache", config=config, variables=cache).code == 0
            log = (folder / "results/mine/logs/fetch.log").read_text()
            stored.append(((folder / target).read_bytes(), bool(log)))
        assert [computed for _, computed in stored] == [True, False, True]
        assert stored[0][0] == stored[1][0] != stored[2][0]

    def test_a_table_that_another_workflow_makes_is_not_shared(self, cache, tmp_path):
        """Its content is not in the cache's key, unless the configuration has its SHA-256."""
        before = sorted(os.listdir(cache["SNAKEMAKE_OUTPUT_CACHE"]))
        run = snakemake(
            tmp_path,
            *("embedding/results/flowers/data/data.parquet", "--cache"),
            snakefile=ROOT / "docs/module/Snakefile",
            variables=cache,
        )
        assert run.code == 0, run.output
        assert not (tmp_path / "embedding/results/flowers/data/data.parquet").is_symlink()
        assert sorted(os.listdir(cache["SNAKEMAKE_OUTPUT_CACHE"])) == before

    def test_the_cpu_s_name_is_no_part_of_the_key_where_jobs_are_held_to_a_level(self):
        assert "cpu" not in environment.provenance()

    def test_code_is_part_of_the_key(self, first, cache, tmp_path):
        """A changed k-NN is computed, and stands beside the other one."""
        shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
        variables = cache | {"PYTHONPATH": str(tmp_path / "src")}
        module = tmp_path / "src/umap_sweep/stages/knn.py"
        for before, after, found in (
            ("BLOCK_ROWS = 4096", "BLOCK_ROWS = 4096  # changed", "obtained from"),
            ("BLOCK_ROWS = 4096  # changed", "BLOCK_ROWS = 4097", "written to"),
        ):
            text = module.read_text()
            assert before in text
            module.write_text(text.replace(before, after))
            run = snakemake(tmp_path, KNN, "--dry-run", "--cache", config=IRIS, variables=variables)
            assert f"{KNN} will be {found} global between-workflow cache" in run.output, run.output

    @pytest.mark.parametrize(
        ("pretence", "found", "jobs"),
        [
            ("", "obtained from", {}),
            # A sweep of which a part was made with another numba is no sweep.
            (
                "import importlib.metadata as metadata\n"
                "version = metadata.version\n"
                "metadata.version = lambda name: '0.1' if name == 'numba' else version(name)\n",
                "written to",
                {"knn": 1},
            ),
            # Elsewhere what is there stays, and what is computed is another entry.
            ("import platform\nplatform.libc_ver = lambda: ('glibc', '0.1')\n", "written to", {}),
        ],
        ids=["same", "numba", "libc"],
    )
    def test_another_environment(self, first, cache, tmp_path, pretence, found, jobs):
        (tmp_path / "sitecustomize.py").write_text(pretence)
        variables = {"PYTHONPATH": str(tmp_path)}
        run = snakemake(tmp_path, KNN, "--dry-run", "--cache", config=IRIS, variables=cache | variables)
        assert f"{KNN} will be {found} global between-workflow cache" in run.output
        shutil.copytree(first, tmp_path / "copy", symlinks=True)
        run = snakemake(tmp_path / "copy", KNN, "--dry-run", config=IRIS, variables=variables)
        assert run.code == 0, run.output
        assert run.jobs == jobs, run.output

    def test_damage_names_the_file_in_the_cache(self, cache, tmp_path):
        cache = {"SNAKEMAKE_OUTPUT_CACHE": str(tmp_path)}
        folder = tmp_path / "project"
        cached(folder, cache, KNN)
        (shared,) = [path for path in tmp_path.glob("*.parquet") if path.samefile(folder / KNN)]
        shared.write_bytes(shared.read_bytes()[:200])
        run = snakemake(folder, "results/iris/manifest.json", "--cache", config=IRIS, variables=cache)
        assert run.code != 0
        assert f"Delete it, and {shared} that it links to, and run again." in run.output
        for path in (folder / KNN, shared):
            path.unlink()
        cached(folder, cache, KNN)
        store.read(folder / KNN)

    def test_without_a_cache_nothing_changes(self, tmp_path):
        run = snakemake(tmp_path, KNN, "--dry-run", config=IRIS)
        assert run.jobs == {"fetch": 1, "knn": 1}
        assert "eligible for caching" not in run.output
        run = snakemake(tmp_path, KNN, "--cache", config=IRIS)  # and no folder named
        assert run.code == 0, run.output
        assert run.jobs == {"fetch": 1, "knn": 1}
        assert "$SNAKEMAKE_OUTPUT_CACHE" in run.output


class TestContainer:
    """The container recipe has no engine to build it here; what it copies and installs is tried by hand."""

    RECIPE = (ROOT / "envs/Dockerfile").read_text()

    def copies(self) -> list[tuple[list[str], str]]:
        """Return sources and destination of each COPY."""
        lines = re.findall(r"^COPY (.+)$", self.RECIPE, re.MULTILINE)
        return [(parts[:-1], parts[-1]) for parts in map(str.split, lines)]

    def test_what_it_copies_runs_the_workflow(self, tmp_path):
        image, folder = tmp_path / "image", tmp_path / "data"
        folder.mkdir()
        allowed = re.findall("^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
        for sources, destination in self.copies():
            for source in sources:
                assert source.split("/")[0] in allowed
                target = image / destination
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, target, dirs_exist_ok=True)
                else:
                    target.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, target)
        variables = dict(re.findall(r"(\w+)=(\S+)", re.search("^ENV (.+)$", self.RECIPE, re.MULTILINE)[1]))
        variables = {name: value.replace("/data", str(folder)) for name, value in variables.items()}
        entry = json.loads(re.search("^ENTRYPOINT (.+)$", self.RECIPE, re.MULTILINE)[1])
        assert entry == ["snakemake", "--snakefile", "/opt/umap-sweep/Snakefile"]
        run = snakemake(
            folder,
            "results/iris/data/data.parquet",
            config=IRIS,
            snakefile=image / "Snakefile",
            variables=variables,
        )
        assert run.code == 0, run.output
        assert store.read(folder / "results/iris/data/data.parquet").num_rows == 150

    def test_python_and_packages_are_the_pinned_ones(self):
        conda = yaml.safe_load((ROOT / "envs/umap-sweep.yaml").read_text())["dependencies"]
        image = re.search("^FROM python:([0-9.]+)-slim", self.RECIPE, re.MULTILINE)[1]
        assert f"python={image}" in conda
        assert "--require-hashes -r envs/requirements.txt" in self.RECIPE

    def test_it_does_not_run_as_root(self):
        users = re.findall("^USER (.+)$", self.RECIPE, re.MULTILINE)
        assert users
        assert "root" not in users[-1]
        assert not users[-1].startswith("0")


class TestCatalog:
    """What the Snakemake workflow catalog looks for."""

    def test_its_snakefile_is_the_workflow(self, tmp_path):
        run = snakemake(tmp_path, "--dry-run", config=IRIS, snakefile=ROOT / "workflow/Snakefile")
        assert run.code == 0, run.output
        assert run.jobs["layout"] == 2
        assert run.jobs["atlas"] == 1

    def test_usage(self):
        usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
        # What it promises is there: a conda environment for every rule with a script, and a report.
        flags = usage.pop("mandatory-flags")
        assert flags["flags"] == []
        assert "umap-sweep" in flags["desc"]
        assert usage == {
            "software-stack-deployment": {"conda": True, "apptainer": False, "apptainer+conda": False},
            "report": True,
        }
        for path in (ROOT / "workflow/rules").glob("*.smk"):
            text = path.read_text()
            assert text.count("    conda:\n") == text.count("    script:\n"), path
        assert 'report: "report/workflow.rst"' in (ROOT / "workflow/Snakefile").read_text()
