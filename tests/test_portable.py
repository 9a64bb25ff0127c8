"""`cpu: portable`: bits that depend on no CPU, against correctly rounded values, references and other CPUs."""

import json
import math
import re
from decimal import Decimal, localcontext
from typing import ClassVar

import bits_table
import numpy as np
import pytest
from conftest import ROOT, Stages, snakemake
from test_exactness import assert_same_bits, clouds, small_groups

from umap_sweep import arithmetic, environment
from umap_sweep.cells import curve
from umap_sweep.errors import InputError
from umap_sweep.stages import initial_layout, knn, layout, portable_distances, portable_knn, portable_layout


@pytest.fixture
def portable(monkeypatch):
    """Hold the stages to `portable` in this process, whose libraries are held to another level."""
    monkeypatch.setenv(environment.CPU_VARIABLE, environment.PORTABLE)


def misses(function, exact, values) -> float:
    """Return the largest error of a function, in units of the last place of the exact value."""
    with localcontext() as context:
        context.prec = 60
        truths = [exact(value) for value in values]
        return float(
            max(
                abs(Decimal(function(value)) - truth) / Decimal(math.ulp(float(truth)))
                for value, truth in zip(values, truths, strict=True)
            )
        )


class TestArithmetic:
    """exp, log, pow and normal numbers."""

    random = np.random.RandomState(0)
    NEAR = random.normal(size=2000).tolist()
    FAR = random.uniform(-700.0, 700.0, size=2000).tolist()

    def test_exp_is_within_one_unit_of_the_last_place(self):
        assert misses(arithmetic.exp, lambda x: Decimal(x).exp(), self.NEAR + self.FAR) < 1.0

    def test_log_is_within_one_unit_of_the_last_place(self):
        values = [abs(1.0 + x / 4) for x in self.NEAR] + [math.exp(x) for x in self.FAR]
        assert misses(arithmetic.log, lambda x: Decimal(x).ln(), values) < 1.0

    @pytest.mark.parametrize("exponent", [-1.7, -0.1, 0.0, 0.8, 1.0, 3.2])
    def test_power_is_as_near_as_it_says(self, exponent):
        for x in [math.exp(x / 10) for x in self.FAR[:500]]:
            with localcontext() as context:
                context.prec = 60
                truth = (Decimal(exponent) * Decimal(x).ln()).exp()
                error = float(abs(Decimal(arithmetic.power(x, exponent)) - truth) / Decimal(math.ulp(float(truth))))
            assert error < 2.0 + abs(exponent * math.log(x))

    def test_the_ends_of_what_numbers_hold(self):
        assert [arithmetic.exp(x) for x in (math.inf, -math.inf, 710.0, -746.0, 0.0)] == [math.inf, 0.0, math.inf, 0, 1]
        assert math.isnan(arithmetic.exp(math.nan))
        assert arithmetic.exp(-744.5) == math.exp(-744.5) == 5e-324
        assert [arithmetic.log(x) for x in (0.0, 1.0, math.inf)] == [-math.inf, 0.0, math.inf]
        assert math.isnan(arithmetic.log(-1.0))
        assert [arithmetic.power(0.0, y) for y in (0.0, 2.0, -1.0)] == [1.0, 0.0, math.inf]

    def test_tiny_numbers_and_every_exponent(self):
        """An exponent goes into the bits of a result in two steps, and out of those of a tiny number in two."""
        nearest = [n * arithmetic.LN2 for n in range(-1075, 1024)]
        assert misses(arithmetic.exp, lambda x: Decimal(x).exp(), [x for x in nearest if x > -700.0]) < 1.0
        for x in (x for x in nearest if arithmetic.SMALLEST_EXPONENT < x <= -700.0):
            assert abs(arithmetic.exp(x) - math.exp(x)) <= math.ulp(math.exp(x))
        assert [arithmetic.log2(2.0**n) for n in range(-1074, 1024)] == list(range(-1074, 1024))
        tiny = [number * 5e-324 for number in (3, 1000, 2**51 + 1, 2**52 - 1)]
        assert misses(arithmetic.log, lambda x: Decimal(x).ln(), tiny) < 1.0

    def test_no_function_of_the_c_library_enters(self):
        """Their 32-bit numbers are passed by numba as x86 and arm64 do; on POWER and z that made exp(-1) infinite."""
        for function, x in ((arithmetic.exp, -1.0), (arithmetic.log, 0.5)):
            function(x)
            compiled = "".join(function.inspect_llvm().values())
            called = set(re.findall(r"^declare [^@]*@\"?([\w.]+)", compiled, re.MULTILINE))
            assert not {name for name in called if re.search("ldexp|frexp|exp|log|pow", name)}, called

    def test_the_logarithm_of_a_power_of_two_is_exact(self):
        assert [arithmetic.log2(2.0**n) for n in range(20)] == list(range(20))

    @pytest.mark.parametrize("count", [1, 2, 7, 3001])
    def test_normal_numbers_are_numpys_but_for_last_bits(self, count):
        ours, numpys = np.random.RandomState(5), np.random.RandomState(5)
        found, expected = arithmetic.normal(ours, (count,)), numpys.normal(size=count)
        np.testing.assert_allclose(found, expected, rtol=1e-14)
        if count % 2 == 0:
            assert ours.randint(1 << 30) == numpys.randint(1 << 30)

    @pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
    def test_the_curve_is_umaps(self, spread, share):
        fitted = curve.parameters(spread, share * spread, portable=True)
        np.testing.assert_allclose(fitted, curve.parameters(spread, share * spread, portable=False), rtol=1e-5)

    @pytest.mark.parametrize("spread", [1e-6, 0.05, 7.0, 1e3, 1e9])
    def test_a_curve_fits_or_is_refused(self, spread):
        try:
            a, b = curve.parameters(spread, spread / 2, portable=True)
        except InputError as refused:
            assert "finds no curve" in str(refused)
            return
        x = np.linspace(0, 3 * spread, 300)
        aim = np.where(x < spread / 2, 1.0, np.exp(-(x - spread / 2) / spread))
        assert np.abs(1 / (1 + a * x ** (2 * b)) - aim).max() < 0.2


class TestNeighbors:
    """The k-NN, against umap-learn's distances."""

    @pytest.mark.parametrize("metric", sorted(set(portable_distances.METRICS) - {"l1", "l2", "taxicab"}))
    @pytest.mark.parametrize("columns", [2, 13])
    def test_exact_is_the_nearest_by_the_true_distance(self, metric, columns):
        from sklearn.metrics import pairwise_distances
        from umap.distances import named_distances

        features = np.round(clouds(500, columns)).astype(np.float32)
        features[7] = 0.0
        features[100:105] = features[100]
        if metric == "correlation":
            features[7] = np.arange(columns)
            features += 0.1 * clouds(500, columns, 1).astype(np.float32)
        _, found = portable_knn.nearest_neighbors(features, 12, metric, "exact", np.random.RandomState(0))
        distances = pairwise_distances(features.astype(np.float64), metric=named_distances[metric])
        expected = np.sort(distances, axis=1)[:, :12]
        np.testing.assert_allclose(found, expected, atol=2e-6, rtol=1e-6)

    def test_equal_distances_are_ordered_by_row(self):
        features = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
        indices, distances = portable_knn.nearest_neighbors(features, 7, "euclidean", "exact", np.random.RandomState(0))
        assert indices[6].tolist() == [6, 5, 7, 8, 9, 0, 1]
        assert distances[6].tolist() == [0, 0, 0, 0, 0, np.float32(2**0.5), np.float32(2**0.5)]

    @pytest.mark.parametrize("scale", [1e-20, 1.0, 1e18, 1e30])
    @pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
    def test_scale_does_not_matter(self, metric, scale):
        features = clouds(300, 10)
        expected, _ = portable_knn.nearest_neighbors(features, 10, metric, "exact", np.random.RandomState(0))
        scaled = (features * scale).astype(np.float32)
        found, _ = portable_knn.nearest_neighbors(scaled, 10, metric, "exact", np.random.RandomState(0))
        assert (found == expected).mean() > 0.99

    @pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
    def test_nn_descent_finds_nearly_all(self, metric):
        features = clouds(3000, 8)
        exact, _ = portable_knn.nearest_neighbors(features, 15, metric, "exact", np.random.RandomState(0))
        found, _ = portable_knn.nearest_neighbors(features, 15, metric, "nn-descent", np.random.RandomState(0))
        assert np.mean([np.isin(one, two).mean() for one, two in zip(exact, found, strict=True)]) > 0.99

    @pytest.mark.parametrize("method", ["exact", "nn-descent"])
    def test_threads_do_not_enter(self, method):
        features = clouds(5000, 12)
        found = [
            portable_knn.nearest_neighbors(features, 10, "euclidean", method, np.random.RandomState(3), threads)
            for threads in (1, 2, 5)
        ]
        for indices, distances in found[1:]:
            assert (indices == found[0][0]).all()
            assert_same_bits(distances, found[0][1])

    def test_a_distance_is_the_same_by_both_methods(self):
        features = clouds(600, 13)
        by = [
            knn.nearest_neighbors(features, 20, "cosine", method, np.random.RandomState(0), 1, portable=True)
            for method in ("exact", "nn-descent")
        ]
        same = by[0][0] == by[1][0]
        assert same.mean() > 0.9
        assert (by[0][1][same] == by[1][1][same]).all()

    @pytest.mark.parametrize("method", ["exact", "nn-descent"])
    def test_correlation_beyond_single_precision_is_refused(self, method):
        features = clouds(100, 4) * 1e36
        features = (features / np.abs(features).max() * 3e38).astype(np.float32)  # less their means some are beyond it
        features[:, 0] = np.abs(features).max()
        features[:, 1:] = -features[:, :1] + np.abs(features[:, 1:]) / 10
        with pytest.raises(InputError, match=r"correlation are beyond what numbers can hold: values .* reach 3e"):
            knn.nearest_neighbors(features, 9, "correlation", method, np.random.RandomState(0), 1, portable=True)

    def test_other_metrics_are_refused(self):
        with pytest.raises(InputError, match="minkowski, which cpu portable does not have; use one of euclidean"):
            knn.nearest_neighbors(clouds(50, 3), 5, "minkowski", "auto", np.random.RandomState(0), 1, portable=True)


class TestStages:
    """A cell beside the one at an x86 level with the same start."""

    @pytest.mark.parametrize("n_components", [2, 3])
    def test_graph_and_start_are_those_of_the_other_levels_but_for_last_bits(self, tmp_path, monkeypatch, n_components):
        from umap_sweep import store

        features = np.random.RandomState(0).normal(size=(500, 8))  # whose graph is connected
        found = []
        for level in ("x86-64-v3", environment.PORTABLE):
            monkeypatch.setenv(environment.CPU_VARIABLE, level)
            (tmp_path / level).mkdir()
            stages = Stages(tmp_path / level, features, k=15)
            stages.cell(12, 0.1, 10, init="spectral_lean", n_components=n_components, n_epochs=20)
            tables = [store.read(tmp_path / level / f"{name}.parquet") for name in ("edges", "start")]
            found.append((tables[0].column("weight").to_numpy(), store.matrix(tables[1], "init_")))
        np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-5)
        np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-3)

    @pytest.mark.parametrize("scale", [3.0, 1e4])
    @pytest.mark.parametrize("n_components", [2, 3])
    def test_many_components_have_places_of_their_own(self, tmp_path, portable, scale, n_components):
        cell = Stages(tmp_path, small_groups(scale), k=3).cell(
            3, 0.1, 10, init="spectral_lean", n_components=n_components
        )
        assert np.isfinite(cell).all()
        assert len(np.unique(cell, axis=0)) > 100

    @pytest.mark.parametrize("case", bits_table.PORTABLE_CASES)
    def test_what_the_table_of_machines_computes_is_what_the_jobs_compute(self, tmp_path, portable, case):
        features, n_components, method = bits_table.portable_case(case)
        stages = Stages(tmp_path, features, k=15, method=method)
        cell = stages.cell(10, 0.1, 10, n_epochs=30, init="spectral_lean", n_components=n_components)
        assert_same_bits(bits_table.portable_stages(features, n_components, method)["layout"][0], cell)

    def test_cells_side_by_side_have_the_bits_of_a_cell_alone(self):
        random = np.random.RandomState(0)
        n_rows, n_edges = 400, 4000
        head = np.sort(random.randint(0, n_rows, n_edges)).astype(np.int32)
        tail = random.randint(0, n_rows, n_edges).astype(np.int32)
        start = random.uniform(0, 10, (n_rows, 2)).astype(np.float32)
        start[1] = start[0]  # at distance 0 there is no polynomial
        start[2] = start[0] + np.float32(1e-6)
        shared = start, head, tail, random.uniform(0.1, 1, n_edges).astype(np.float32), np.array([1, 2, 3]) << 20
        curves = [curve.parameters(1.0, min_dist) for min_dist in (0.0, 0.2, 0.5, 0.9, 0.99)]
        together = layout.optimize_cells(*shared, curves, 30, portable=True)
        for (a, b), cell in zip(curves, together, strict=True):
            assert_same_bits(layout.optimize_cells(*shared, [(a, b)], 30, portable=True)[0], cell)

    def test_the_two_kernels_agree_in_two_dimensions(self):
        random = np.random.RandomState(0)
        scheduled = np.column_stack([random.randint(0, 50, (300, 2)), random.randint(0, 6, 300)]).astype(np.int32)
        start = random.uniform(0, 10, (50, 2)).astype(np.float32)
        a, b = curve.parameters(1.0, 0.1)
        tables = [table[None] for table in portable_layout.tables(a, b, 1.0)]
        found = []
        for walk in (portable_layout.descend, portable_layout.descend_any):
            positions, states = start.copy(), np.arange(150).reshape(50, 3) << 33
            walk(positions, scheduled, *tables, np.array([[a, b]]), 1.0, 1.0, states)
            found.append(positions)
        assert_same_bits(found[0], found[1])

    @pytest.mark.parametrize("min_dist", [0.0, 0.1, 0.99])
    def test_forces_are_those_of_the_formula(self, min_dist):
        a, b = curve.parameters(1.0, min_dist)
        attraction, repulsion = portable_layout.tables(a, b, 1.0)
        first = portable_layout.FIRST_SEGMENT
        for squared in np.exp(np.linspace(-8, 8, 400)).astype(np.float32):
            bits = int(squared.view(np.int32))
            segment = (bits >> portable_layout.SEGMENT_SHIFT) - first
            t = (bits & ((1 << portable_layout.SEGMENT_SHIFT) - 1)) - portable_layout.SEGMENT_CENTRE
            s = float(squared)
            exact = (
                -2 * a * b * s ** (b - 1) / (a * s**b + 1),
                2 * b / ((0.001 + s) * (a * s**b + 1)),
            )
            for table, force in zip((attraction, repulsion), exact, strict=True):
                value = sum(coefficient * float(t) ** power for power, coefficient in enumerate(table[segment]))
                assert abs(value / force - 1) < portable_layout.TABLE_ERROR

    def test_starts_that_it_does_not_have_are_refused(self):
        with pytest.raises(InputError, match="use spectral_lean or random"):
            initial_layout.initial_layout(50, 2, "pca", np.random.RandomState(0), features=clouds(50, 3), portable=True)


def test_every_level_of_this_cpu_gives_the_same_bits(tmp_path):
    """Compiled for each level, with the C library, numpy and OpenBLAS held to it: what differs without `portable`."""
    flags = environment._cpu_flags()
    levels = [level for level, needed in environment.LEVEL_FLAGS.items() if flags.issuperset(needed)]
    found = {}
    for level in ["native", *levels[:2]]:
        held = environment.job_variables(1, level) | {environment.CPU_VARIABLE: environment.PORTABLE}
        held |= {"NUMBA_CACHE_DIR": str(tmp_path / level)}
        found[level] = bits_table.run("portable", held)
    assert len(found["native"][""]) == len(bits_table.PORTABLE_CASES) * len(bits_table.STAGES)
    assert all(one == found["native"] for one in found.values())


class TestSweep:
    """The pipeline under `cpu: portable`."""

    SMALL: ClassVar = {
        "dataset": "iris",
        "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
        "knn": {"n_neighbors": 15},
        "grid": {"n_neighbors": [5, 15], "min_dist": [0.0, 0.5]},
        "cpu": "portable",
    }

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"knn": {"metric": "minkowski"}}, "knn.metric is minkowski, which cpu portable does not have"),
            ({"knn": {"method": "plain", "n_jobs": 1}}, "knn.method is plain"),
            ({"umap": {"init": "spectral"}}, "umap.init is spectral, .*use spectral_lean or random"),
            ({"umap": {"densmap": True}}, "umap.densmap is True"),
            ({"umap": {"target": "label"}}, "umap.target is label"),
            (
                {
                    "transform": {
                        "source": {"source": "sklearn", "name": "iris"},
                        "cell": {"n_neighbors": 5, "min_dist": 0.0, "seed": 1},
                    }
                },
                "transform.source is given, which cpu portable does not have",
            ),
        ],
    )
    def test_what_it_does_not_have_is_refused(self, change, said):
        from umap_sweep.settings import configuration, schema

        config = {"dataset": "iris", "datasets": self.SMALL["datasets"], "cpu": "portable"}
        config |= {"knn": {}, "grid": self.SMALL["grid"] | {"seed": [1]}}
        config |= {section: config.get(section, {}) | values for section, values in change.items()}
        config["claims"] = {"dataset": "iris"}
        schema.check(config)
        with pytest.raises(InputError, match=said):
            configuration.complete(config)

    def test_claims_of_umap_learn_are_refused(self, tmp_path):
        run = snakemake(tmp_path, "claims", "--dry-run", config=self.SMALL | {"claims": {"dataset": "iris"}})
        assert run.code != 0
        assert "claims tries statements of umap-learn on its own bits, which cpu portable does not have" in run.output

    def test_the_start_is_the_lean_one_and_there_is_no_recipe(self):
        from umap_sweep.results import recipe
        from umap_sweep.settings import configuration

        config = self.SMALL | {"grid": self.SMALL["grid"] | {"seed": [1]}, "claims": {"dataset": "iris"}}
        settings = configuration.complete(config)
        assert settings["umap"]["init"] == "spectral_lean"
        with pytest.raises(InputError, match="cpu portable has no recipe"):
            recipe.check(settings)

    def test_the_committed_fingerprints_hold_on_this_machine(self, tmp_path):
        """They were made on x86, of real values, by NN-descent; where a release changes bits, write them anew.

        It takes the target `fingerprints` with this configuration.
        """
        config = {
            "dataset": "breast_cancer",
            "datasets": {"breast_cancer": {"source": "sklearn", "name": "breast_cancer"}},
            "knn": {"n_neighbors": 30, "method": "nn-descent", "n_jobs": 2},
            "grid": {"n_neighbors": [10, 30], "min_dist": [0.0, 0.5], "seed": [10]},
            "cpu": "portable",
            "verify": {"fingerprints": str(ROOT / "tests" / "portable_fingerprints.json")},
        }
        made = snakemake(tmp_path, "results/breast_cancer/manifest.json", config=config)
        assert made.code == 0, made.output
        held = snakemake(tmp_path, "verify", config=config)
        assert held.code == 0, held.output
        assert "equal to the committed fingerprints, bit for bit" in held.output

    def test_verify_repeats_it_and_holds_it_against_fingerprints_of_another_machine(self, tmp_path):
        made = snakemake(tmp_path, "fingerprints", config=self.SMALL)
        assert made.code == 0, made.output
        path = next(tmp_path.rglob("*fingerprints*.json"))
        committed = json.loads(path.read_text())
        for other in committed["environments"]:
            other |= {"platform": "Linux aarch64", "cpu": "another", "libc": "musl", "numpy": "2.0"}
        path.write_text(json.dumps(committed))
        again = snakemake(tmp_path, "verify", config=self.SMALL)
        assert again.code == 0, again.output
        assert "equal to the committed fingerprints, bit for bit" in again.output
        name = next(name for name in committed["fingerprints"] if name.startswith("layouts") or "embedding" in name)
        committed["fingerprints"][name] = "0" * 64
        path.write_text(json.dumps(committed))
        differs = snakemake(tmp_path, "verify", config=self.SMALL)
        assert differs.code == 1
        assert "differs from the committed fingerprints" in differs.output

    def test_verify_says_which_stages_another_cpu_changes(self, tmp_path):
        config = self.SMALL | {"grid": {"n_neighbors": [5], "min_dist": [0.0], "seed": [1]}}
        made = snakemake(tmp_path, "fingerprints", config=config)
        assert made.code == 0, made.output
        differs = snakemake(tmp_path, "verify", config=config | {"cpu": "native", "umap": {"init": "spectral_lean"}})
        assert differs.code == 1
        assert "The first stage that differs from the stored results is knn" in differs.output
        assert "What differs in the environment: cpu_level portable → native" in differs.output
