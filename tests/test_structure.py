"""The house: layers that look only down, one source of defaults and of versions, and pictures that are in step."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import make
import pytest
import yaml
from conftest import ROOT

import umap_sweep

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
]


def linted(folder: Path) -> subprocess.CompletedProcess:
    """Check the layers of the package in `folder`."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", folder / "pyproject.toml"],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


def test_layers_look_only_down():
    done = linted(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line", "said"),
    [
        (
            "stages/knn.py",
            "from umap_sweep.figures import style",
            "umap_sweep.stages is not allowed to import umap_sweep.figures",
        ),
        ("figures/style.py", "from umap_sweep.atlas import page", "umap_sweep.figures.style -> umap_sweep.atlas.page"),
        ("results/sweep.py", "import snakemake", "umap_sweep is not allowed to import snakemake"),
    ],
)
def test_an_import_that_breaks_the_rule_is_named(tmp_path, module, line, said):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "src/umap_sweep" / module).open("a") as file:
        file.write(f"\n\ndef broken():\n    {line}\n")
    done = linted(tmp_path)
    assert done.returncode != 0
    assert said in done.stdout


def test_the_version_is_one():
    version = umap_sweep.__version__
    assert re.search(r'^VERSION = "(.+)"$', (ROOT / "workflow/Snakefile").read_text(), re.M)[1] == version
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    newest = re.search(r"^## (\S+) – (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest[1] == version
    assert str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["date-released"]) == newest[2]
    assert f"v{version}" in (ROOT / "docs/reuse.md").read_text()


def test_the_picture_of_the_rules_is_in_step_with_them():
    titles = re.findall(r"<title>(.*?)</title>", (ROOT / "docs/rules.svg").read_text())
    drawn = {tuple(title.split("&#45;&gt;")) for title in titles if "&gt;" in title}
    graph = make.rule_graph()
    assert drawn == {(one, name) for name, above in graph.items() for one in above}, "run `make docs`"
    assert {name for edge in drawn for name in edge} == set(graph)


def test_scripts_are_a_docstring_and_a_call():
    for path in sorted((ROOT / "scripts").glob("*.py")):
        text = path.read_text()
        assert text.startswith('"""'), path
        code = [line for line in text.splitlines() if line and not line.startswith(('"""', "from umap_sweep"))]
        assert code[0].startswith("with job.running(snakemake.log[0], snakemake.params.code"), path
        assert len(code) < 30, path
        assert "sys.path" not in text, path


def test_rules_files_say_what_they_take_and_make_and_stay_short():
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        text = path.read_text()
        assert text.startswith("# Takes ") and "; " in text.partition("\n")[0], path
        assert not re.search(r"\blambda\b", text), path
        if not re.search(r"^(use )?rule ", text, re.M):
            assert len(text.splitlines()) < 120, path


def test_rules_import_nothing_that_takes_much_memory():
    """Every job has two processes of Snakemake beside it, which read all rules and count as the job's own memory."""
    files = [ROOT / "Snakefile", ROOT / "workflow/Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    imports = {
        line.partition("#")[0].strip()
        for file in files
        for line in file.read_text().splitlines()
        if re.match("(from|import) umap_sweep", line)
    }
    heavy = ["numba", "sklearn", "scipy.sparse", "umap", "matplotlib", "anndata"]
    program = "\n".join([*sorted(imports), "import sys", f"print([name for name in {heavy} if name in sys.modules])"])
    assert len(imports) > 20
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_rule_is_described_in_the_list():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "--list"], capture_output=True, text=True
    )
    listed = dict(re.fullmatch(r"(\w+)(?: \((.+)\))?", line).groups() for line in done.stdout.splitlines())
    assert {"all", "fetch", "rows", "knn", "layout", "embedding", "verify", "claims", "timing", "fingerprints"} <= set(
        listed
    )
    assert [name for name, described in listed.items() if not described] == []


def test_nothing_runs_what_data_or_text_say():
    """No pickle, no evaluation, no shell, and no YAML that makes objects."""
    refused = (
        r"\bpickle\b(?!=False)|\beval\(|\bexec\(|shell=True|os\.system|yaml\.(unsafe_|full_)?load\(|^\s+(shell|run):"
    )
    for folder, ending in (("src", "py"), ("scripts", "py"), ("workflow", "smk"), ("benchmarks", "py"), ("docs", "py")):
        for path in sorted((ROOT / folder).rglob(f"*.{ending}")):
            text = path.read_text().replace("allow_pickle=False", "")
            assert not re.search(refused, text, re.M), path


def test_actions_of_ci_are_pinned_by_commit():
    for path in (ROOT / ".github").rglob("*.yaml"):
        for used in re.findall(r"uses: (\S+)", path.read_text()):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", used), used


def test_the_container_runs_as_a_user_without_rights():
    users = re.findall(r"^USER (\d+)", (ROOT / "envs/Dockerfile").read_text(), re.M)
    assert users
    assert users[-1] != "0"


@pytest.mark.parametrize("path", PAGES)
def test_links_lead_somewhere(path):
    text = (ROOT / path).read_text()
    for link in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text):
        assert ((ROOT / path).parent / link).exists(), link


@pytest.mark.parametrize("path", PAGES)
def test_files_that_a_page_names_are_there(path):
    named = r"`((?:src|workflow|scripts|tests|envs|benchmarks|docs)/[\w./-]+\.\w+)`"
    for name in re.findall(named, (ROOT / path).read_text()):
        assert (ROOT / name).exists(), name
