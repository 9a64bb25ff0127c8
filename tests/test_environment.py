"""Where jobs keep compiled code, and which CPU they are held to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from umap_sweep import environment


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return a function that gives the folder of compiled code for a sweep that runs in `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def folder(home: Path, knn_jobs: int = 1, cpu: str = environment.default_cpu()) -> Path:
        monkeypatch.setenv("XDG_CACHE_HOME", str(home))
        return Path(environment.job_variables(knn_jobs, cpu)["NUMBA_CACHE_DIR"])

    return folder


def test_in_the_users_cache_or_where_that_cannot_be_written_beside_the_results(tmp_path, cache):
    assert cache(tmp_path / "home").is_relative_to(tmp_path / "home" / "umap-sweep")
    (tmp_path / "file").touch()  # no folder can be made below it, not even by root
    assert cache(tmp_path / "file").is_relative_to(tmp_path / ".snakemake")


def test_what_code_differs_by_has_a_folder_of_its_own(tmp_path, cache, monkeypatch):
    folders = [cache(tmp_path), cache(tmp_path, knn_jobs=2), cache(tmp_path, cpu="portable")]
    monkeypatch.setattr(environment, "version", lambda name: "99" if name == "pynndescent" else "1")
    folders.append(cache(tmp_path))
    monkeypatch.setattr(environment, "version", lambda name: "1")
    folders.append(cache(tmp_path))
    assert len(set(folders)) == 5


def test_every_compiled_function_is_in_a_file_that_the_folder_is_named_by():
    package = ROOT / "src" / "umap_sweep"
    named = {path for pattern in environment.COMPILED for path in package.glob(pattern)}
    assert {path for path in package.rglob("*.py") if "@numba.njit" in path.read_text()} <= named


def test_a_changed_function_is_compiled_anew_where_another_file_uses_it(tmp_path):
    package = tmp_path / "umap_sweep"
    shutil.copytree(ROOT / "src" / "umap_sweep", package, ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import os; from umap_sweep import environment; os.environ.update(environment.job_variables(1, 'portable')); "
        "import numpy as np; from umap_sweep.stages import fuzzy; "
        "indices = np.arange(12, dtype=np.int32).reshape(2, 6); "
        "distances = np.array([[0, 1, 2, 3, 4, 5]] * 2, dtype=np.float32); "
        "print(fuzzy.membership_strengths(indices, distances).tobytes().hex())"
    )
    variables = environment.without_ours(os.environ) | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}

    def strengths() -> str:
        return subprocess.run([sys.executable, "-c", code], env=variables, check=True, capture_output=True).stdout

    before = strengths()
    assert strengths() == before
    arithmetic = package / "arithmetic.py"
    changed = arithmetic.read_text().replace("    return value * _power", "    return 0.5 * value * _power")
    assert changed != arithmetic.read_text()
    arithmetic.write_text(changed)
    assert strengths() != before


def on_another_architecture(code: str) -> subprocess.CompletedProcess:
    """Run code in a process that is told, as `uname` tells it, that its machine is no x86-64."""
    return subprocess.run(
        ["setarch", "i386", sys.executable, "-c", code],
        env=environment.without_ours(os.environ),
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(shutil.which("setarch") is None, reason="setarch is not installed")
class TestAnotherArchitecture:
    """A level of x86 CPUs on a machine that has none of them."""

    def test_is_refused_with_what_to_do(self):
        done = on_another_architecture("import umap_sweep; umap_sweep.hold_cpu('x86-64-v3')")
        assert "cpu is x86-64-v3, a level of x86 CPUs, and this machine's CPU is i686, which cannot hold" in done.stderr
        assert "set cpu to" in done.stderr
        assert "native" in done.stderr

    def test_is_refused_by_a_job_that_was_planned_on_another_machine(self):
        code = (
            "import os\nos.environ['UMAP_SWEEP_CPU'] = 'x86-64-v2'\nimport umap_sweep.environment as e\ne.check_cpu()"
        )
        assert "cpu is x86-64-v2" in on_another_architecture(code).stderr

    def test_without_a_word_jobs_are_native(self):
        code = "import umap_sweep, os; umap_sweep.hold_cpu(); print(os.environ['UMAP_SWEEP_CPU'])"
        assert on_another_architecture(code).stdout == "native\n"
        code = (
            "from umap_sweep.settings import configuration as c; import yaml; "
            f"config = yaml.safe_load(open({str(ROOT / 'config.yaml')!r})); print(c.complete(config)['cpu'])"
        )
        assert on_another_architecture(code).stdout == "native\n"
