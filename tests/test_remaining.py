"""How long a run will still take: from its own jobs, on its own cores, and no more than is known."""

import pytest

from umap_sweep.planning import resources
from umap_sweep.planning.remaining import Left, Planned, Watch, predicted


def watched(cores: int, *took: tuple[Planned, float]) -> Watch:
    """Return a watch of a run whose first jobs, numbered from 100 on, took these seconds."""
    watch = Watch(cores)
    for number, (planned, seconds) in enumerate(took, start=100):
        watch.start(number, 0.0)
        watch.finish(number, planned, seconds)
    return watch


LAYOUT = Planned("layout", predicted=50.0)


def test_jobs_take_what_those_of_their_kind_took_and_others_what_all_took():
    """The first layout compiled, and this machine is twice as slow as predicted."""
    watch = watched(1, (LAYOUT, 190.0), (LAYOUT, 100.0), (LAYOUT, 100.0), (Planned("graph", 10.0), 30.0))
    assert watch.expected(Planned("layout", 70.0)) == 140.0
    assert watch.expected(Planned("graph", 20.0)) == 60.0
    assert watch.expected(Planned("atlas", 16.0)) == pytest.approx(16.0 * 420 / 160)


@pytest.mark.parametrize(("cores", "seconds"), [(1, 400.0), (2, 200.0), (3, 200.0), (4, 100.0), (9, 100.0)])
def test_cores_work_side_by_side(cores, seconds):
    left = watched(cores, (LAYOUT, 100.0)).left(dict.fromkeys(range(4), LAYOUT), 100.0)
    assert left == Left(seconds, at_least=False)


def test_jobs_wait_for_what_they_are_made_from_and_for_cores():
    """Two layouts side by side, one of which runs for 30 s already, then one that takes both cores, then the last."""
    watch = watched(2, (LAYOUT, 50.0))
    jobs = {1: LAYOUT, 2: LAYOUT, 3: Planned("layout", 50.0, (1, 100), threads=8), 4: Planned("layout", 5.0, (3, 2))}
    watch.start(1, 50.0)
    assert watch.left(jobs, 80.0) == Left(50.0 + 50.0 + 5.0, at_least=False)


def test_what_is_not_known_is_not_claimed():
    unknown = Planned("claims", None)
    assert Watch(1).left({1: LAYOUT, 2: unknown}, 0.0) is None
    watch = watched(1, (LAYOUT, 50.0))
    assert watch.left({1: LAYOUT, 2: unknown}, 50.0) == Left(50.0, at_least=True)
    assert watch.left({1: LAYOUT}, 50.0, grows=True) == Left(50.0, at_least=True)
    assert watch.left({2: unknown}, 50.0) is None
    # At the end there are targets, or nothing.
    assert watch.left({2: Planned("all", 0.0)}, 50.0) is None
    assert watch.left({100: LAYOUT}, 50.0) is None
    watch.start(1, 50.0)
    # It takes longer than the other did.
    assert watch.left({1: LAYOUT, 2: LAYOUT}, 200.0) == Left(50.0, at_least=True)
    # What nothing was predicted of takes what others of its kind took.
    watch.start(3, 200.0)
    watch.finish(3, unknown, 270.0)
    assert watch.left({2: unknown}, 270.0) == Left(70.0, at_least=False)


@pytest.mark.parametrize(
    ("seconds", "at_least", "said"),
    [
        (29.0, False, "Less than a minute left."),
        (31.0, False, "About 1 min left."),
        (12.4 * 60, True, "At least 12 min left."),
        (2.5 * 3600, False, "About 2 h 30 min left."),
    ],
)
def test_it_is_said_in_a_few_words(seconds, at_least, said):
    assert str(Left(seconds, at_least)) == said


def test_nothing_is_predicted_without_data_or_of_jobs_that_were_not_measured():
    size = resources.Size(rows=1000, neighbors=15)
    assert predicted("knn", size) == resources.seconds("knn", size)
    assert predicted("claims", size) is None
    assert predicted("knn", resources.Size()) is None
