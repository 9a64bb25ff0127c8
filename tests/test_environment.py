"""Where jobs keep compiled code."""

from pathlib import Path

import pytest

from umap_sweep import environment


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return a function that gives the folder of compiled code for a sweep that runs in `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def folder(home: Path, knn_jobs: int = 1, cpu: str = "x86-64-v3") -> Path:
        monkeypatch.setenv("XDG_CACHE_HOME", str(home))
        return Path(environment.job_variables(knn_jobs, cpu)["NUMBA_CACHE_DIR"])

    return folder


def test_in_the_users_cache_or_where_that_cannot_be_written_beside_the_results(tmp_path, cache):
    assert cache(tmp_path / "home").is_relative_to(tmp_path / "home" / "umap-sweep")
    (tmp_path / "file").touch()  # no folder can be made below it, not even by root
    assert cache(tmp_path / "file").is_relative_to(tmp_path / ".snakemake")


def test_what_code_differs_by_has_a_folder_of_its_own(tmp_path, cache, monkeypatch):
    folders = [cache(tmp_path), cache(tmp_path, knn_jobs=2), cache(tmp_path, cpu="native")]
    monkeypatch.setattr(environment, "version", lambda name: "99" if name == "pynndescent" else "1")
    folders.append(cache(tmp_path))
    monkeypatch.setattr(environment, "version", lambda name: "1")
    folders.append(cache(tmp_path))
    assert len(set(folders)) == 5
