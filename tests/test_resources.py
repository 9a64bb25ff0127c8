"""The memory and the time that jobs declare to a scheduler."""

import re

import jobs
import pandas as pd
import pytest
from conftest import ROOT, snakemake

from umap_sweep.planning import resources

MEASURED = sorted((ROOT / "benchmarks" / "measured").glob("*/jobs.tsv"))


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.parent.name)
def test_predicted_memory_is_what_was_measured(path):
    """Of every job that was measured, the prediction is off by less than 30 %, and what is asked for is enough.

    What a figure takes follows its size in inches, and that the number of its panels.
    """
    for at in pd.read_csv(path, sep="\t").to_dict("records"):
        size = jobs.sizes(at["job"], at)
        predicted = resources.memory(at["job"], size) / 2**20
        if not at["job"].startswith("plot_"):
            assert predicted == pytest.approx(at["peak_memory_mb"], rel=0.3), at
        assert resources.asked_memory_mb(at["job"], size, 1) * 1e6 > at["peak_memory_mb"] * 2**20, at


def test_every_job_declares_memory_and_time_once_its_input_is_there(tmp_path):
    config = {
        "dataset": "iris",
        "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
        "knn": {"n_neighbors": 20},
        "grid": {"n_neighbors": [5, 20], "min_dist": [0.1], "seed": [1, 2]},
    }
    before = snakemake(tmp_path, "--dry-run", "--quiet", "host", config=config)
    assert declared(before.output, "knn") == [("<TBD>", "<TBD>")]
    assert snakemake(tmp_path, config=config).code == 0
    every = snakemake(tmp_path, "--dry-run", "--quiet", "host", "--forceall", config=config)
    assert every.code == 0, every.output
    rules = set(every.jobs) - {"all"}
    assert {"fetch", "knn", "graph", "initial_layout", "layout", "cell_metrics", "seed_pairs", "atlas"} <= rules
    for rule in rules:
        for memory, minutes in declared(every.output, rule):
            assert 100 < int(memory) < 3000
            assert 10 <= int(minutes) <= 60

    # Both settings under both seeds.
    comparisons = resources.asked_memory_mb("shortlist", resources.Size(measured=4, seeds=2, settings=2), 1)
    assert [memory for memory, _ in declared(every.output, "comparisons")] == [str(comparisons)]


def declared(output: str, rule: str) -> list[tuple[str, str]]:
    """Return `mem_mb` and `runtime` of each job of a rule, as Snakemake prints them."""
    parts = re.split(r"(?m)^(?:local)?rule (\w+):$", output)
    found = [text for name, text in zip(parts[1::2], parts[2::2], strict=True) if name == rule]
    assert found
    return [tuple(re.search(rf"\b{name}=([^,\s]+)", text)[1] for name in ("mem_mb", "runtime")) for text in found]


@pytest.mark.parametrize("job", list(jobs.TERMS))
def test_a_job_that_is_tried_again_is_given_twice_as_much(job):
    size = resources.Size(rows=70_000, dimensions=784, neighbors=250, edges=10**7, points=16 * 70_000, compared=1000)
    for asked in (resources.asked_memory_mb, resources.asked_minutes):
        assert [asked(job, size, attempt) / asked(job, size, 1) for attempt in (1, 2, 3)] == [1, 2, 4]


def test_a_comparison_asks_for_what_its_cells_take():
    some, many = (resources.Size(compared=1000, measured=cells, seeds=10) for cells in (80, 320))
    # What was measured of `comparisons`, 106 MB more, and no more than half as much again.
    assert 106e6 < resources.memory("shortlist", many) - resources.memory("shortlist", some) < 159e6
    few, more = (resources.Size(rows=1_000_000, measured=320, seeds=seeds) for seeds in (10, 20))
    assert resources.memory("seed_pairs", more) - resources.memory("seed_pairs", few) > 400e6  # neighbourhoods


def test_comparisons_of_many_settings_are_asked_for():
    """Two by two: 8.3 GB were measured for the table of 2,000 settings, 4.7 and 3.2 where it is read."""
    few, many = (resources.Size(settings=settings) for settings in (16, 2000))
    assert resources.memory("shortlist", few) < 1.01 * resources.memory("shortlist", resources.Size())
    assert 5e9 < resources.memory("shortlist", many) < 10e9
    of_cells = resources.Size(compared=150, measured=2000, seeds=1, settings=2000)
    assert 8.3e9 < resources.memory("shortlist", of_cells) < 17e9


def test_a_layout_job_asks_for_what_its_cells_take():
    one, four = (resources.Size(rows=2_000_000, edges=4 * 10**7, laid_out=cells) for cells in (1, 4))
    # What was measured at two million rows, 186 MiB more, and no more than as much again.
    assert 186 * 2**20 < resources.memory("layout", four) - resources.memory("layout", one) < 372 * 2**20
    assert 1 < resources.seconds("layout", four) / resources.seconds("layout", one) < 4
