"""Code is part of a result's key: what a change of the code plans, what a mixed folder says, and what is no change."""

import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, Run, snakemake

import umap_sweep
from umap_sweep import code, environment, store

CONFIG = {
    "dataset": "iris",
    "datasets": {"iris": {"source": "sklearn", "name": "iris"}},
    "knn": {"n_neighbors": 12},
    "grid": {"n_neighbors": [5, 12], "min_dist": [0.1, 0.5], "seed": [1, 2]},
    "umap": {"n_epochs": 20},
}

# Every job of the sweep above, and how many of them there are.
ALL = {
    "fetch": 1,
    "rows": 1,
    "knn": 1,
    "graph": 2,
    "initial_layout": 4,
    "layout_0p1_0p5": 4,
    "sweep": 1,
    "embeddings": 1,
    "manifest": 1,
    "features": 1,
    "high_dimensional": 1,
    "cell_metrics": 4,
    "annotation_metrics": 1,
    "metrics": 1,
    "neighboring_cells": 1,
    "seed_pairs": 4,
    "stability": 1,
    "comparisons": 1,
    "shortlist": 1,
    "plot_features": 1,
    "plot_grid": 2,
    "plot_metrics": 1,
    "plot_comparisons": 1,
    "plot_changes": 1,
    "plot_stability": 1,
    "plot_instability": 1,
    "atlas": 1,
    "all": 1,
}
# What no stage of UMAP reaches.
OF_THE_DATA = ("fetch", "rows", "high_dimensional", "features", "plot_features")
ABOVE_THE_LAYOUT = (*OF_THE_DATA, "knn", "graph", "initial_layout")


class Project:
    """A copy of the project with a finished sweep, whose code a test may change."""

    def __init__(self, folder: Path) -> None:
        self.root, self.work = folder / "project", folder / "work"
        self.work.mkdir()
        kept = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in ("workflow", "scripts", "src", "envs"):
            shutil.copytree(ROOT / name, self.root / name, ignore=kept)
        for name in ("Snakefile", "config.yaml"):
            shutil.copy(ROOT / name, self.root)

    def run(self, *arguments: str, pretence: str | None = None) -> Run:
        path = str(self.root / "src")
        if pretence is not None:
            folder = self.work / "pretence"
            folder.mkdir(exist_ok=True)
            (folder / "sitecustomize.py").write_text(pretence)
            path = f"{folder}:{path}"
        variables = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        return snakemake(
            self.work,
            *arguments,
            config=CONFIG,
            snakefile=self.root / "Snakefile",
            profile="default",
            variables=variables,
        )

    def planned(self, **also: str) -> dict[str, int]:
        run = self.run("--dry-run", **also)
        assert run.code == 0, run.output
        assert ("Nothing to be done" in run.output) == (run.jobs == {})
        return run.jobs

    @contextmanager
    def changed(self, name: str, before: str, after: str) -> Iterator[None]:
        """Replace a piece of one file for a while."""
        path = self.root / name
        text = path.read_text()
        assert before in text, before
        path.write_text(text.replace(before, after, 1))
        try:
            yield
        finally:
            path.write_text(text)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a project with a finished sweep."""
    project = Project(tmp_path_factory.mktemp("code"))
    run = project.run()
    assert run.code == 0, run.output
    return project


def without(*names: str) -> dict[str, int]:
    return {name: count for name, count in ALL.items() if name not in names}


class TestPlan:
    """What `snakemake -n` says after a change, over every stage."""

    def test_all_jobs_are_those_of_the_sweep(self, project):
        run = project.run("--dry-run", "--forceall")
        assert run.jobs == ALL

    def test_nothing_to_do_after_a_run(self, project):
        assert project.planned() == {}

    def test_comments_docstrings_and_formatting_plan_nothing(self, project):
        """In every file of the package and of the scripts at once, each rewritten and so newer than all results."""
        texts = {path: path.read_text() for name in ("src", "scripts") for path in (project.root / name).rglob("*.py")}
        try:
            for path, text in texts.items():
                assert text.startswith('"""')
                changed = text.replace('"""', '"""Changed. ', 1).replace("\n\n\n", "\n\n# Changed.\n\n\n")
                path.write_text(re.sub(r"(?m)^    return ", "    return  ", changed) + "\n# Changed.\n")
            assert project.planned() == {}
        finally:
            for path, text in texts.items():
                path.write_text(text)

    def test_what_python_and_numba_keep_beside_modules_plans_nothing(self, project):
        kept = project.root / "src/umap_sweep/stages/__pycache__/layout._descend-1.py311.nbi"
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(b"compiled")
        for name in (".knn.py.swp", "knn.py~", ".DS_Store"):
            (project.root / "src/umap_sweep/stages" / name).write_bytes(b"an editor's")
        assert project.planned() == {}

    @pytest.mark.parametrize("folder", ["scripts", "src", "workflow"])
    def test_the_time_of_a_file_alone_plans_nothing(self, project, folder):
        for path in (project.root / folder).rglob("*"):
            path.touch()
        assert project.planned() == {}

    @pytest.mark.parametrize(
        ("name", "before", "after", "planned"),
        [
            ("src/umap_sweep/sources/fetch.py", "TIMEOUT = 30", "TIMEOUT = 31", ALL),
            ("src/umap_sweep/store.py", '{"compression": "zstd"', '{"compression": "lz4"', ALL),
            ("src/umap_sweep/stages/knn.py", "BLOCK_ROWS = 4096", "BLOCK_ROWS = 4097", without("fetch", "rows")),
            ("scripts/knn.py", "k=int(", "k=+int(", without(*OF_THE_DATA)),
            ("src/umap_sweep/stages/fuzzy.py", "= 1e-5", "= 1e-6", without(*OF_THE_DATA, "knn")),
            (
                "scripts/initial_layout.py",
                "seed=int(",
                "seed=+int(",
                without(*OF_THE_DATA, "knn", "graph"),
            ),
            ("src/umap_sweep/stages/vectors.py", "TERMS = 8", "TERMS = 9", without(*ABOVE_THE_LAYOUT)),
            ("scripts/layout.py", "key=snakemake", "key=+snakemake", without(*ABOVE_THE_LAYOUT)),
            ("src/umap_sweep/results/manifest.py", "indent=1", "indent=2", {"manifest": 1, "all": 1}),
            (
                "src/umap_sweep/quality/shortlist.py",
                '"what another UMAP',
                '"What another UMAP',
                # What is made from the list is made anew with it.
                dict.fromkeys(["shortlist", "plot_metrics", "plot_comparisons", "atlas", "manifest", "all"], 1),
            ),
            (
                "src/umap_sweep/figures/stability.py",
                "LINE = 0.2",
                "LINE = 0.3",
                {"plot_stability": 1, "manifest": 1, "all": 1},
            ),
            ("src/umap_sweep/atlas/page_files/atlas.css", "{", " {", {"atlas": 1, "manifest": 1, "all": 1}),
            ("src/umap_sweep/atlas/page.py", "STRATA = 20", "STRATA = 21", {"atlas": 1, "manifest": 1, "all": 1}),
            ("src/umap_sweep/errors.py", "class InputError(Exception)", "class InputError(ValueError)", {}),
            ("src/umap_sweep/planning/resources.py", "TIME_MARGIN = 6", "TIME_MARGIN = 7", {}),
            ("src/umap_sweep/reproduce/verify.py", "NEIGHBORS = 15", "NEIGHBORS = 16", {}),
        ],
        ids=str,
    )
    def test_changed_code_plans_what_it_reaches(self, project, name, before, after, planned):
        with project.changed(name, before, after):
            assert project.planned() == planned
        assert project.planned() == {}

    @pytest.mark.parametrize(
        ("library", "planned"),
        [
            ("numba", without("fetch", "rows")),
            ("llvmlite", without("fetch", "rows")),
            ("umap-learn", without("fetch", "rows")),
            ("scikit-learn", ALL),
            (
                "matplotlib",
                {name: count for name, count in ALL.items() if name.startswith("plot_")} | {"manifest": 1, "all": 1},
            ),
            ("pooch", {}),
        ],
    )
    def test_another_version_of_a_library_plans_what_it_computes(self, project, library, planned):
        pretence = (
            "import importlib.metadata as metadata\n"
            "version = metadata.version\n"
            f"metadata.version = lambda name: '0.1' if name == {library!r} else version(name)\n"
        )
        assert project.planned(pretence=pretence) == planned

    def test_a_plain_snakemake_takes_no_other_trigger(self, project):
        """Without a profile, as a user types it."""
        for path in (project.root / "scripts").glob("*.py"):
            path.touch()
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "-s", project.root / "Snakefile", "-n", "--configfile", "mine.yaml"],
            cwd=project.work,
            env={"PATH": "/usr/bin:/bin", "HOME": str(project.work), "PYTHONPATH": str(project.root / "src")},
            capture_output=True,
            text=True,
        )
        assert "Nothing to be done" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def updated(project, tmp_path_factory):
    """Return a project that was updated, and whose run ended when some of its cells were laid out anew."""
    folder = tmp_path_factory.mktemp("updated")
    shutil.copytree(project.root.parent, folder / "copy", symlinks=True)
    updated = Project.__new__(Project)
    updated.root, updated.work = folder / "copy/project", folder / "copy/work"
    path = updated.root / "src/umap_sweep/stages/layout.py"
    path.write_text(path.read_text().replace("SCHEDULE_ROWS = 4_000_000", "SCHEDULE_ROWS = 3_000_000", 1))
    old = sorted(updated.work.glob("results/iris/layouts/**/n_neighbors=12/**/layout.parquet"))
    run = updated.run(*(str(path.relative_to(updated.work)) for path in old))
    assert run.code == 0, run.output
    assert run.laid_out == 4
    return updated


class TestInterruptedUpdate:
    """Half of the cells by old code, half by new."""

    def test_the_next_run_lays_out_the_rest(self, updated):
        planned = updated.planned()
        assert planned == {**without(*ABOVE_THE_LAYOUT), "layout_0p1_0p5": 2}

    def test_verify_names_the_code(self, updated):
        run = updated.run("verify")
        assert run.code == 0, run.output
        assert re.search(r"4 of the stored results were made by other code than today's \([0-9a-f]{12}; ", run.output)
        table = store.read(updated.work / "results/iris/verify.parquet").to_pandas()
        assert set(table[table["code"] != ""]["stage"]) == {"layouts"}

    @pytest.mark.parametrize("target", ["results/iris/sweep.parquet", "results/iris/manifest.json"])
    def test_a_mixed_folder_is_refused_and_its_files_are_named(self, updated, target):
        """Where the user asks Snakemake to look at times alone."""
        run = updated.run(target, "--rerun-triggers", "mtime", "--forcerun", Path(target).stem)
        assert run.code != 0
        assert re.search(r"\d+ of \d+ files were made by other code, or with other versions of libraries", run.output)
        assert "layout.parquet" in run.output
        assert "Traceback" not in run.output

    def test_afterwards_all_is_of_one_code(self, updated):
        assert updated.run().code == 0
        assert updated.planned() == {}
        results = json.loads((updated.work / "results/iris/manifest.json").read_text())["results"]
        by_stage = {stage: {one["code"] for one in results if one["stage"] == stage} for stage in ("knn", "layout")}
        assert all(len(digests) == 1 for digests in by_stage.values())
        layout = store.read_record(next(updated.work.glob("results/iris/layouts/**/layout.parquet")))
        assert by_stage["layout"] == {layout["code"]}


def test_code_that_changes_while_a_run_goes_on_is_noticed(tmp_path):
    """The job ends with one sentence and writes nothing."""
    variables = {"UMAP_SWEEP_STAMP": "of other code"}
    run = snakemake(tmp_path, "results/iris/data/data.parquet", config=CONFIG, variables=variables)
    assert run.code == 0, run.output  # what another process leaves in the environment does not count
    script = "from umap_sweep import job\nwith job.running('job.log'):\n    open('made', 'w')\n"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "not that which this run was planned with" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "made").exists()


class TestDigest:
    """The digest itself."""

    SAME = (
        'def f(x):\n    """Old."""\n    return (x + 1)  # why\n',
        "def f(x):\n    '''New\n    words.'''\n\n    return x+1\n",
    )

    def digest(self, folder: Path, text: str) -> str:
        code.read.cache_clear()
        path = folder / "module.py"
        path.write_text(text)
        return code.read(path).digest

    def test_form_does_not_enter(self, tmp_path):
        first, second = (self.digest(tmp_path, text) for text in self.SAME)
        assert first == second

    @pytest.mark.parametrize("text", ["def f(x):\n    return x + 2\n", "def f(y):\n    return y + 1\n", "x = None\n"])
    def test_what_is_done_enters(self, tmp_path, text):
        assert self.digest(tmp_path, text) != self.digest(tmp_path, self.SAME[0])

    def test_empty_values_are_told_apart(self, tmp_path):
        texts = [
            "f(None)",
            "f()",
            "f([])",
            "f({})",
            "f('')",
            "f(0)",
            "f(0.0)",
            "f(False)",
            "f(b'')",
            "{**a}",
            "{None: a}",
        ]
        assert len({self.digest(tmp_path, text) for text in texts}) == len(texts)

    def test_what_is_kept_of_it_is_as_good_as_what_is_found(self, tmp_path, monkeypatch):
        """Also where it is cut short, and where the folder cannot be made."""
        script = ROOT / "scripts/knn.py"
        monkeypatch.setattr(environment, "cache_folder", lambda name: tmp_path / name)
        found = code.of_script(script)
        (kept,) = (tmp_path / "code").iterdir()
        assert code.of_script(script) == found
        kept.write_text(kept.read_text()[:20])
        assert code.of_script(script) == found
        monkeypatch.setattr(environment, "cache_folder", lambda name: kept / name)
        assert code.of_script(script) == found

    def test_what_is_found_while_a_file_changes_is_not_kept(self, tmp_path, monkeypatch):
        """Which would be taken for that of the old content, once that is back."""
        monkeypatch.setattr(environment, "cache_folder", lambda name: tmp_path / name)
        monkeypatch.setattr(environment, "stamp", iter(["before", "after"]).__next__)
        code._stamp.cache_clear()
        try:
            code.of_script(ROOT / "scripts/knn.py")
        finally:
            code._stamp.cache_clear()
        assert not (tmp_path / "code").exists()

    def test_it_does_not_depend_on_the_version_of_python(self):
        """By the other Pythons that this machine has, over every file of the package."""
        program = (
            "import hashlib, pathlib, sys\nsys.path.insert(0, sys.argv[1])\nfrom umap_sweep import code\n"
            "files = sorted(pathlib.Path(sys.argv[1]).rglob('*.py'))\n"
            "print(hashlib.sha256(''.join(code.read(file).digest for file in files).encode()).hexdigest())\n"
        )
        command = ["-I", "-c", program, str(ROOT / "src")]
        found = {}
        for python in filter(shutil.which, (sys.executable, "python3.11", "python3.12", "python3.13")):
            done = subprocess.run([python, *command], capture_output=True, text=True)
            if done.returncode == 0:
                found[python] = done.stdout.strip()
        assert sys.executable in found
        assert len(set(found.values())) == 1, found

    def test_every_module_of_a_rule_is_found_that_python_imports(self):
        """What a function imports only when it is called counts too, so that there may be more."""
        for name in (
            "fetch",
            "rows",
            "knn",
            "graph",
            "initial_layout",
            "layout",
            "cell_metrics",
            "plot_claims",
            "atlas",
        ):
            script = ROOT / f"scripts/{name}.py"
            tree = ast.parse(script.read_text())
            imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
            statements = "\n".join(ast.unparse(node) for node in imports)
            program = (
                f"import sys\n{statements}\nprint(*(name for name in sys.modules if name.startswith('umap_sweep.')))"
            )
            loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
            names = {name.removeprefix("umap_sweep.") for name in loaded.split()} - code.MESSAGES
            packages = {path.parent.name for path in code.PACKAGE.glob("*/__init__.py")}
            assert names - packages <= set(code.modules_of(script)), script.name

    def test_imports_by_dots_are_followed(self):
        tree = ast.parse("from . import one\nfrom .two import x\nfrom ..cells import keys")
        found = list(code._imported(tree, "umap_sweep.stages"))
        assert found == ["umap_sweep.stages.one", "umap_sweep.stages.two.x", "umap_sweep.cells.keys"]

    def test_no_code_is_reached_in_a_way_that_no_digest_sees(self):
        """By the front door, which stands above all layers, or by names that are put together while the code runs."""
        for path in sorted([*code.PACKAGE.rglob("*.py"), *(ROOT / "scripts").glob("*.py")]):
            tree = ast.parse(path.read_text())
            names = set(code._imported(tree, "umap_sweep"))
            assert not {name for name in names if name.endswith(".*")}, path
            if path != code.PACKAGE / "__init__.py":
                assert not names & {f"umap_sweep.{name}" for name in umap_sweep.__all__}, path
                assert not names & {"umap_sweep", "importlib.import_module", "runpy"}, path
                calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
                called = {func.id for func in calls if isinstance(func, ast.Name)}
                assert not called & {"exec", "eval", "__import__"}, path

    def test_the_front_door_does_nothing_when_it_is_imported(self):
        kinds = (ast.Expr, ast.Assign, ast.FunctionDef, ast.If, ast.ImportFrom)
        for node in ast.parse((code.PACKAGE / "__init__.py").read_text()).body:
            assert isinstance(node, kinds), ast.unparse(node)
            if isinstance(node, ast.ImportFrom):
                assert node.module in ("__future__", "typing")
            if isinstance(node, ast.If):
                assert ast.unparse(node.test) == "TYPE_CHECKING"
            if isinstance(node, ast.Expr):
                assert isinstance(node.value, ast.Constant)

    def test_the_package_s_folders_hold_no_code_of_their_own(self):
        """What stands in them would run without being seen in a digest."""
        for path in code.PACKAGE.glob("*/__init__.py"):
            assert [type(node) for node in ast.parse(path.read_text()).body] == [ast.Expr], path


def test_every_rule_has_its_code_among_its_params():
    """And the digest is that of the script which the rule runs."""
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    scripts = re.findall(r'script:\s+"\.\./\.\./scripts/(\w+)\.py"', rules)
    codes = re.findall(r'code=code_of\(\s*"(\w+)"', rules)
    assert sorted(scripts) == sorted(codes)
    assert sorted(set(scripts)) == sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))


def test_the_record_holds_the_digest_that_snakemake_planned_with(project):
    program = "import sys; from umap_sweep import code; print(code.of_script(sys.argv[1])['digest'])"
    command = [sys.executable, "-c", program, project.root / "scripts/knn.py"]
    variables = {"PYTHONPATH": str(project.root / "src")}
    digest = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout.strip()
    path = next(project.work.glob("results/iris/knn/**/knn.parquet"))
    assert store.read_record(path)["code"] == digest
    assert len(digest) == len(hashlib.sha256().hexdigest())
