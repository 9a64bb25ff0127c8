"""The target `claims`: every statement on reproducibility is tried, judged, drawn, and named where it fails."""

import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import snakemake, store_data, store_rows

from umap_sweep import store
from umap_sweep.errors import InputError
from umap_sweep.figures import claims as plot_claims
from umap_sweep.reproduce import claim_runs, judge_claims
from umap_sweep.reproduce import claims as claims_script

IRIS = {"datasets": {"iris": {"source": "sklearn", "name": "iris"}}, "claims": {"dataset": "iris", "n_neighbors": 10}}
FIRST_COLUMNS = ["claim", "expected", "observed", "holds", "source"]
SAME_SEEDS = "same k-NN seed, same k, same UMAP seed"
FRESH_PROCESS = "all of this in a fresh process, in reverse order"


def observed(folder) -> dict[str, str]:
    """Return what was found on each claim, by the right one of its two arms, after checking that all of them hold."""
    table = store.read(folder / "claims.parquet").to_pandas()
    assert list(table.columns)[:5] == FIRST_COLUMNS
    assert table["holds"].all(), table[~table["holds"]].to_string()
    assert (table["expected"] == table["observed"]).all()
    return dict(zip(table["right"], table["observed"], strict=True))


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """Return the folder of a finished run on few rows, and the run. Tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("tried")
    return folder, snakemake(folder, "claims", config=IRIS)


class TestFewRows:
    """The whole target on a small data set, on which umap-learn's k-NN is exact."""

    def test_every_claim_is_judged_and_holds(self, tried):
        folder, run = tried
        assert run.code == 0, run.output
        assert observed(folder / "results/iris") == {
            "once more": "equal",
            "k = 20": "equal",
            "k-NN seed 15": "equal",
            "UMAP seed 15": "different",
            "RandomState handed on": "equal",
            "handed on, two k-NN jobs": "equal",
            "two k-NN jobs": "equal",
            "whole k-NN": "different",
            "metric's name": "different",
            "too narrow a k-NN": "equal",
            "rows reversed": "different",
            "reference": "equal",
            "cell, after all others": "equal",
            "cell, two threads": "equal",
        }

    def test_the_table_on_the_terminal(self, tried):
        _, run = tried
        lines = [line for line in run.output.splitlines() if line.startswith(("holds", "FAILS"))]
        assert len(lines) == 15
        assert lines[0] == f"holds  equal      equal      {SAME_SEEDS} (tutorial)"
        assert max(map(len, lines)) <= 100
        assert "Tried on iris, 150 rows, with n_neighbors 10:" in run.output
        assert "Warning" not in run.output

    def test_what_is_stored(self, tried):
        folder, _ = tried
        arms = judge_claims.read_arms(folder / "results/iris/claims/again.parquet")
        assert next(iter(arms)) == "cell, after all others"
        for arm in arms.values():
            assert list(arm.columns) == ["arm", "id", "label", "umap_1", "umap_2", "knn"]
            assert arm["id"].tolist() == list(range(150))
        plots = folder / "results/iris/plots"
        assert (plots / "claims.png").read_bytes().startswith(b"\x89PNG")
        assert (plots / "claims.pdf").read_bytes().startswith(b"%PDF")

    def test_the_report_has_figure_and_table(self, tried):
        folder, _ = tried
        run = snakemake(folder, "claims", "--report", "report.html", config=IRIS)
        assert run.code == 0, run.output
        report = (folder / "report.html").read_text()
        assert "claims.png" in report and "claims.csv" in report and "Reproducibility" in report
        table = pd.read_csv(folder / "results/iris/claims.csv")
        assert table["observed"].tolist() == store.read(folder / "results/iris/claims.parquet")["observed"].to_pylist()

    def test_asking_again_says_it_again_and_computes_nothing(self, tried):
        folder, _ = tried
        assert snakemake(folder, "claims", "--dry-run", config=IRIS).jobs == {"claims": 1}

    def test_a_claim_that_does_not_hold_is_named_and_its_table_is_kept(self, tried, tmp_path):
        folder, _ = tried
        shutil.copytree(folder, tmp_path / "copy")
        path = tmp_path / "copy/results/iris/claims/first.parquet"
        table, record = store.read(path), store.read_record(path)
        frame = table.to_pandas()
        row = frame.index[frame["arm"] == "once more"][7]
        frame.loc[row, "umap_2"] = np.nextafter(frame.loc[row, "umap_2"], np.float32(np.inf))
        store.write(path, pa.Table.from_pandas(frame, table.schema, preserve_index=False), record)
        run = snakemake(tmp_path / "copy", "claims", config=IRIS)
        assert run.code != 0
        assert f"FAILS  equal      different  {SAME_SEEDS} (tutorial)" in run.output
        message = next(line for line in run.output.splitlines() if line.startswith("umap-sweep:"))
        assert message.startswith("umap-sweep: 2 of 15 claims did not hold here: ")
        assert SAME_SEEDS in message
        assert FRESH_PROCESS in message
        assert "UMAP seed 15" not in message
        assert "Traceback" not in run.output
        kept = store.read(tmp_path / "copy/results/iris/claims.parquet").to_pandas()
        failed = kept[~kept["holds"]]
        assert failed["claim"].tolist() == [SAME_SEEDS, FRESH_PROCESS]
        assert failed["rows_moved"].tolist() == [1, 1]


def test_the_tutorials_blobs(tmp_path):
    """The default: the tutorial's own data, on which umap-learn searches by NN-descent."""
    run = snakemake(tmp_path, "claims", config={})
    assert run.code == 0, run.output
    assert observed(tmp_path / "results/tutorial_blobs") == {
        "once more": "equal",
        "k = 40": "different",
        "k-NN seed 15": "different",
        "UMAP seed 15": "different",
        "RandomState handed on": "equal",
        "handed on, two k-NN jobs": "different",
        "two k-NN jobs": "different",
        "whole k-NN": "equal",
        "sample, whole k-NN": "different",
        "sample, metric's name": "different",
        "too narrow a k-NN": "equal",
        "rows reversed": "different",
        "reference": "equal",
        "cell, after all others": "equal",
        "cell, two threads": "equal",
    }


def arm(places: list, knn: list | None = None) -> pd.DataFrame:
    """Return an arm with these coordinates and digests."""
    places = np.array(places, dtype=np.float32)
    return pd.DataFrame({"umap_1": places[:, 0], "umap_2": places[:, 1], "knn": knn or [None] * len(places)})


class TestJudging:
    """One claim, from two arms."""

    @pytest.mark.parametrize(
        ("right", "moved"),
        [
            ([[0, 1], [np.nan, np.nan], [2, 3]], 0),
            ([[-0.0, 1], [np.nan, np.nan], [2, 3]], 1),
            ([[0, np.nextafter(np.float32(1), np.float32(2))], [4, 5], [2, 3]], 2),
        ],
        ids=["the same bits, NaN too", "minus zero", "one last bit"],
    )
    def test_bits_decide(self, right, moved):
        arms = {"one": arm([[0, 1], [np.nan, np.nan], [2, 3]]), "other": arm(right)}
        for expected in ("equal", "different"):
            row = judge_claims.judge(judge_claims.Claim("tutorial", expected, "one", "other", "a claim"), arms, arms)
            assert row["rows_moved"] == moved
            assert row["observed"] == ("different" if moved else "equal")
            assert row["holds"] == (row["observed"] == expected)
            assert row["rows_rewired"] is None

    def test_the_knn_where_the_claim_is_about_it(self):
        places = [[0, 1], [2, 3], [4, 6]]
        arms = {"one": arm(places, ["a", "b", "c"]), "other": arm(places, ["a", "x", "c"])}
        found = [
            judge_claims.judge(judge_claims.Claim("tutorial", "equal", "one", "other", "a claim", compared), arms, arms)
            for compared in ("embedding", "knn")
        ]
        assert [row["observed"] for row in found] == ["equal", "different"]
        assert [row["rows_rewired"] for row in found] == [1, 1]

    def test_all_arms_of_two_processes(self):
        first = {"one": arm([[0, 1], [2, 3], [4, 6]]), "other": arm([[5, 6], [2, 0], [1, 1]])}
        again = {"other": arm([[5, 6], [2, 0], [1, 1]]), "one": arm([[0, 1], [2, 3], [4, 5]])}
        claim = judge_claims.Claim("umap-sweep", "equal", "one", "one", "a claim")
        row = judge_claims.judge(claim, first, again)
        assert (row["rows"], row["rows_moved"], row["holds"]) == (6, 1, False)

    def test_runs_of_different_data_are_refused(self, tmp_path):
        table = pa.table({"arm": ["reference"], "umap_1": [0.0], "umap_2": [0.0], "knn": ["a"]})
        paths = [tmp_path / "first.parquet", tmp_path / "again.parquet"]
        for path in paths:
            store.write(path, table, store.make_record("claims", {"n_neighbors": 5}, "", {"data": path.name}))
        with pytest.raises(InputError, match="of different data"):
            judge_claims.compute(*paths, tmp_path / "claims.parquet", tmp_path / "claims.csv")


@pytest.mark.parametrize("n_rows", [150, 4095, 4096, 70000])
@pytest.mark.parametrize("whole_numbers", [False, True])
def test_every_claim_is_of_two_arms_and_fits_on_a_line(tmp_path, n_rows, whole_numbers):
    features = np.zeros((n_rows, 2), dtype=np.float32)
    arms = claim_runs.arms(tmp_path, features, 30)
    said = judge_claims.claims(n_rows, 30, whole_numbers)
    assert {name for claim in said for name in (claim.left, claim.right)} <= arms.keys()
    assert len({claim.claim for claim in said}) == len(said)
    assert any(claim.right.endswith("metric's name") for claim in said) != whole_numbers
    rows = pd.DataFrame([vars(claim) | {"observed": "different", "holds": False} for claim in said])
    assert max(map(len, claims_script.report(rows))) <= 100


def test_expectations_depend_on_how_umap_learn_searches():
    few, many = (
        {claim.right.removeprefix("sample, "): claim.expected for claim in judge_claims.claims(rows, 30, True)}
        for rows in (4095, 4096)
    )
    changed = {name for name, expected in few.items() if many[name] != expected}
    assert changed == {"k = 40", "k-NN seed 15", "handed on, two k-NN jobs", "two k-NN jobs"}


def test_too_few_rows(tmp_path):
    data = store_data(tmp_path, np.random.RandomState(0).normal(size=(40, 3)))
    with pytest.raises(InputError, match=r"claims\.n_neighbors is 20 .* 40 rows .* at most 19"):
        claim_runs.compute(data, store_rows(tmp_path, 40), tmp_path / "first.parquet", 20, backwards=False)
    claim_runs.arms(data, store.read_features(data), 19)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"compared": "embedding", "rows_moved": 0, "holds": True}, "✓ equal, bit for bit"),
        ({"compared": "embedding", "rows_moved": 1234, "holds": True}, "✓ 1,234 of 5,100 rows differ"),
        ({"compared": "knn", "rows_moved": 9, "rows_rewired": 0}, "✗ k-NN: equal, bit for bit, expected different"),
        ({"compared": "embedding", "rows_moved": 1, "expected": "equal"}, "✗ 1 of 5,100 rows differ, expected equal"),
    ],
)
def test_verdict_over_a_picture(row, said):
    row = {"rows": 5100, "holds": False, "expected": "different", "rows_rewired": 7} | row
    assert plot_claims.verdict(next(pd.DataFrame([row]).itertuples())) == said


def test_pictures_of_data_without_labels_and_with_disconnected_rows():
    rows = pd.DataFrame([{"claim": "a claim", "source": "tutorial", "left": "reference", "right": "reference"}])
    rows = rows.assign(compared="embedding", rows=3, rows_moved=0, holds=True, expected="equal")
    arms = {"reference": arm([[0, 1], [np.nan, np.nan], [2, 3]]).assign(id=["a", "b", "c"])}
    figure = plot_claims.draw(rows, arms, arms, "heading", "note", {"label_kind": "auto", "dpi": 50})
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["heading", "note", "a claim (tutorial)", "✓ equal, bit for bit", "first process", "second process"]
    assert len(figure.axes) == 2
