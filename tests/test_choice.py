"""Seeds are spent where they decide, and what is decided is what chance alone would not."""

import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import snakemake

from umap_sweep import store
from umap_sweep.cells import grid, looks
from umap_sweep.figures import choice_page
from umap_sweep.quality import choice, comparisons, shortlist
from umap_sweep.settings import configuration

CONFIG = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "knn": {"n_neighbors": 15},
    "grid": {"n_neighbors": [4, 15], "min_dist": [0.0, 0.9], "seed": [10]},
    "umap": {"n_epochs": 30},
    "choose": {"seeds": 7},
    "plot": {"dpi": 50},
}


class TestLooks:
    """How many seeds each look has."""

    def test_each_has_about_twice_as_many_as_the_one_before(self):
        found = looks.seeds_of_looks([10], 20)
        assert [len(seeds) for seeds in found] == [5, 10, 20]
        assert found[-1] == list(range(10, 30))
        assert all(more[: len(fewer)] == fewer for fewer, more in itertools.pairwise(found))

    def test_those_of_the_grid_are_the_first(self):
        assert looks.seeds_of_looks([7, 3, 7], 6) == [[7, 3, 8, 9, 10], [7, 3, 8, 9, 10, 11]]
        assert looks.seeds_of_looks([1, 2, 3, 4], 3) == [[1, 2, 3, 4]]
        assert looks.seeds_of_looks([10], 2) == [[10, 11]]
        assert looks.seeds_of_looks([2**32 - 1], 3) == [[2**32 - 1, 0, 1]]

    @pytest.mark.parametrize("method", ["auto", "plain"])
    def test_cells_are_those_that_a_grid_of_these_seeds_would_have(self, method):
        one = {"knn": {"method": method}, "grid": {"n_neighbors": [5, 15], "min_dist": [0.1, 0.5], "seed": [10]}}
        cells = grid.cells(configuration.complete(one))
        one["grid"] = one["grid"] | {"seed": [10, 11, 12]}
        expected = grid.cells(configuration.complete(one))
        found = looks.with_seeds(cells, [10, 11, 12], method)
        order = list(found.columns)
        pd.testing.assert_frame_equal(
            found.sort_values(order, ignore_index=True), expected.sort_values(order, ignore_index=True)
        )


def measured(settings: dict[int, tuple[float, float, float]], seeds: int, noise: float, drawn: int = 0):
    """Return metrics and pairs of seeds of settings with known recall, triplet accuracy and overlap."""
    draw = np.random.default_rng(drawn)
    metrics, pairs = [], []
    for n_neighbors, (recall, triplets, overlap) in settings.items():
        key = {"n_neighbors": n_neighbors, "min_dist": 0.1, "knn_k": 50, "knn_seed": 0}
        for seed in range(seeds):
            values = np.array([recall, triplets]) + draw.normal(0, noise, 2)
            numbers = dict(zip(("recall_15", "triplet_accuracy"), values, strict=True))
            metrics.append(key | {"seed": seed, "rows": 100, "sample_rows": 100} | numbers)
            for other in range(seed):
                both = {"other_knn_seed": 0, "seed": other, "other_seed": seed, "across": "UMAP seed"}
                pairs.append(key | both | {"neighbor_overlap": overlap + draw.normal(0, noise)})
    return pd.DataFrame(metrics), pd.DataFrame(pairs)


def look(settings, seeds=6, noise=0.001, is_last=False):
    metrics, pairs = measured(settings, seeds, noise)
    table, compared, done = choice.look(metrics, {}, pairs, 3, 0.005, is_last)
    return dict(zip(table["n_neighbors"], table["status"], strict=True)), table, compared, done


def test_what_is_worse_beyond_the_noise_is_dropped_and_the_list_stands():
    status, table, _, done = look({5: (0.4, 0.7, 0.6), 15: (0.5, 0.7, 0.6), 50: (0.3, 0.8, 0.6)})
    assert status == {5: "beaten", 15: "contender", 50: "contender"}
    assert done
    by = table.set_index("n_neighbors")["beaten_by_n_neighbors"]
    assert by[5] == 15 and pd.isna(by[15])


def test_what_may_be_better_in_something_is_kept_until_the_seeds_are_spent():
    """Recall tells them apart; whether the rest does, noise hides."""
    metrics, pairs = measured({5: (0.4, 0.7, 0.6), 15: (0.5, 0.7, 0.6)}, 6, 0.001)
    noise = np.random.default_rng(1).normal(0, 0.1, len(pairs) // 2)
    pairs["neighbor_overlap"] += np.r_[noise, -noise]
    pairs["neighbor_overlap"] += 0.6 - pairs.groupby("n_neighbors")["neighbor_overlap"].transform("mean")
    table, _, done = choice.look(metrics, {}, pairs, 3, 0.005, False)
    assert set(table["status"]) == {"contender"} and not done
    table, _, _ = choice.look(metrics, {}, pairs, 3, 0.005, True)
    assert table["status"].tolist() == ["beaten", "contender"]


def test_the_list_does_not_stand_while_a_difference_worth_telling_is_open():
    same = {5: (0.5, 0.7, 0.6), 15: (0.5, 0.7, 0.6)}
    *_, done = look(same, noise=0.02)
    assert not done
    status, *_, done = look(same, noise=0.0005, seeds=12)
    assert done and set(status.values()) == {"contender"}


def test_later_looks_ask_for_larger_differences():
    metrics, pairs = measured({5: (0.4, 0.7, 0.6), 15: (0.5, 0.7, 0.6)}, 4, 0.01)
    widths = []
    for number in (1, 3):
        _, compared, _ = choice.look(metrics, {}, pairs, number, 0.005, False)
        widths.append((compared["upper"] - compared["lower"]).to_numpy())
    assert (widths[1] > 1.2 * widths[0]).all()


def test_all_looks_together_spend_no_more_than_the_level():
    shares = [choice.share_of_look(number) for number in range(1, 100)]
    assert 0.98 < sum(shares) < 1 and shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [([5], ""), ([5, 10, 20], ""), ([5, 10, 12], "makes look 3 once more, under more than 12 seeds")],
)
def test_the_page_says_where_a_larger_budget_is_a_look_that_is_not_counted(seeds, said):
    assert (said in choice_page.later(seeds)) and bool(choice_page.later(seeds)) == bool(said)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """Choose among four settings of iris."""
    folder = tmp_path_factory.mktemp("choice")
    run = snakemake(folder, "choose", config=CONFIG)
    assert run.code == 0, run.output
    return folder, run


class TestTarget:
    """`snakemake choose`."""

    def test_it_says_which_are_left_and_where_the_page_is(self, chosen):
        folder, run = chosen
        table = pd.read_parquet(folder / "results/iris/choice.parquet")
        listed = table[table["status"] == "contender"]
        assert len(table) == 4 and len(listed) >= 1
        for cell in listed.itertuples():
            assert f"n_neighbors {cell.n_neighbors}, min_dist {cell.min_dist:g}" in run.output
        assert "choice.html" in run.output

    def test_only_rows_with_a_contender_get_more_seeds(self, chosen):
        folder, _ = chosen
        results = folder / "results/iris"
        record = store.read_record(results / "choice.parquet")
        assert record["seeds"] in ([5], [5, 7])
        for look_number, seeds in enumerate(record["seeds"][1:], 2):
            left = choice.contenders_of(results / f"choose/look={look_number - 1}/settings.parquet")
            rows = {n_neighbors for n_neighbors, *_ in left}
            more = results.glob(f"layouts/**/seed={10 + seeds - 1}/layout.parquet")
            assert {int(re.search(r"n_neighbors=(\d+)", str(path))[1]) for path in more} == rows

    def test_the_sweep_itself_has_its_own_seeds_alone(self, chosen):
        folder, _ = chosen
        run = snakemake(folder, "results/iris/sweep.parquet", config=CONFIG)
        assert run.code == 0 and run.laid_out == 0
        assert set(pq.read_table(folder / "results/iris/sweep.parquet")["seed"].to_pylist()) == {10}

    def test_a_second_run_plans_nothing(self, chosen):
        folder, _ = chosen
        run = snakemake(folder, "choose", "--dry-run", config=CONFIG)
        assert set(run.jobs) <= {"choose"}, run.output

    def test_more_seeds_lay_out_no_finished_cell_again(self, chosen):
        folder, _ = chosen
        run = snakemake(folder, "choose", "--dry-run", config=CONFIG | {"choose": {"seeds": 14}})
        first = folder / "results/iris/choose/look=1/settings.parquet"
        rows = {n_neighbors for n_neighbors, *_ in choice.contenders_of(first)}
        # The second look has ten seeds, of which seven are there.
        more = 0 if choice.list_stands(first) else 3 * 2 * len(rows)
        assert run.laid_out == more and "knn" not in run.jobs, run.output

    def test_one_core_and_an_empty_folder_give_the_same_choice(self, chosen, tmp_path):
        folder, _ = chosen
        run = snakemake(tmp_path, "results/iris/choice.csv", cores=1, config=CONFIG)
        assert run.code == 0, run.output
        path = "results/iris/choice.csv"
        assert (tmp_path / path).read_bytes() == (folder / path).read_bytes()

    def test_the_page_asks_for_nothing_and_shows_every_setting(self, chosen):
        folder, _ = chosen
        page = (folder / "results/iris/choice.html").read_text()
        assert "default-src 'none'" in page and "<script" not in page
        text = []
        parser = HTMLParser()
        parser.handle_data = text.append
        parser.feed(page)
        said = " ".join(text)
        for n_neighbors in CONFIG["grid"]["n_neighbors"]:
            for min_dist in CONFIG["grid"]["min_dist"]:
                assert f"n_neighbors {n_neighbors}, min_dist {min_dist:g}" in said
        assert (
            "dataset: iris" in said
            and store.read_record(folder / "results/iris/data/data.parquet")["fingerprint"] in said
        )

    def test_a_grid_of_one_setting_has_nothing_to_choose(self, tmp_path):
        one = CONFIG | {"grid": {"n_neighbors": [15], "min_dist": [0.1], "seed": [10]}}
        run = snakemake(tmp_path, "choose", "--dry-run", config=one)
        assert run.code != 0
        assert "there is nothing to choose between" in run.output and "Traceback" not in run.output


def test_a_table_may_ask_for_a_part_of_a_row(tmp_path):
    """Rows of the grid are measured whole; what was not asked for has no part in a setting's mean."""
    (tmp_path / "cells.csv").write_text("n_neighbors,min_dist,seed\n4,0.0,1\n4,0.9,1\n4,0.0,2\n15,0.9,3\n15,0.9,1\n")
    run = snakemake(tmp_path, "results/iris/shortlist.parquet", config=CONFIG | {"grid": {"table": "cells.csv"}})
    assert run.code == 0, run.output
    compared = pd.read_parquet(tmp_path / "results/iris/comparisons.parquet")
    recall = compared[compared["metric"] == "recall_15"].set_index(["n_neighbors", "min_dist", "other_n_neighbors"])
    assert recall.loc[(4, 0.0, 15), "seeds"] == 1 and set(recall["verdict"]) == {"unknown"}
    metrics = pd.read_parquet(tmp_path / "results/iris/metrics.parquet")
    of = metrics[(metrics["seed"] == 1)].set_index(["n_neighbors", "min_dist"])["recall_15"]
    assert recall.loc[(4, 0.0, 15), "difference"] == pytest.approx(of[4, 0.0] - of[15, 0.9])


def test_seeds_that_change_nothing_tell_nothing_apart():
    """As those of an exact k-NN under one UMAP seed."""
    metrics, _ = measured({5: (0.4, 0.7, 0.6), 15: (0.5, 0.7, 0.6)}, 1, 0)
    both = pd.concat([metrics, metrics.assign(knn_seed=1)])
    compared = comparisons.compare_all(comparisons.measured_metrics(both, {}, pd.DataFrame()))
    assert set(compared["verdict"]) <= {"unknown", "not told apart"}
    assert (compared.loc[compared["metric"] == "recall_15", "verdict"] == "unknown").all()


def test_one_pair_of_seeds_says_nothing_of_stability_also_beside_settings_with_more():
    metrics, pairs = measured({5: (0.5, 0.7, 0.6), 9: (0.5, 0.7, 0.4), 15: (0.5, 0.7, 0.5)}, 3, 0.001)
    few = pairs["n_neighbors"].isin([5, 9]) & ((pairs["seed"] == 2) | (pairs["other_seed"] == 2))
    compared = comparisons.compare_all(comparisons.measured_metrics(metrics, {}, pairs[~few]))
    of_pairs = compared[compared["metric"] == "neighbor_overlap"]
    assert set(of_pairs["verdict"]) == {"unknown"}


def test_a_setting_without_a_seed_in_common_is_not_called_the_best():
    metrics, _ = measured({5: (0.2, 0.7, 0.6), 15: (0.5, 0.7, 0.6), 30: (0.49, 0.7, 0.6)}, 4, 0.0005)
    metrics = metrics[(metrics["n_neighbors"] != 5) | (metrics["seed"] == 0)]
    compared = comparisons.compare_all(comparisons.measured_metrics(metrics, {}, pd.DataFrame()))
    found = shortlist.shortlist(shortlist.criteria(metrics, None), compared, 0.005).set_index("n_neighbors")
    assert re.search(r"neighbours kept 20\.\d% \(best (49|50)\.\d%\)", found.loc[5, "reason"])


def test_units_that_do_not_count_do_not_lessen_the_error():
    draw = np.random.default_rng(7)
    values = draw.normal(size=(2, 1000)).astype(np.float32)
    values[:, 300:] = np.nan
    found = comparisons.covariance(list(values), 0.0)
    np.testing.assert_allclose(found, np.cov(values[:, :300]) / 300, rtol=1e-4)


def test_names_in_the_page_are_text():
    table = choice_page.table_of(["<b>"], [["<script>alert(1)</script>"]])
    assert "<script" not in table and "<b>" not in table
