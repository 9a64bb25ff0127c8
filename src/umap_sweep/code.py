"""The code that makes a result: a digest of it, which is part of the result's key.

The digest of a rule is that of its script and of the modules of this package that the script uses, found from their
imports. Comments, docstrings and formatting do not enter, nor does the version of Python. Beside it stand the versions
of the libraries that those modules import and compute with.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

from umap_sweep import environment

PACKAGE = Path(__file__).parent

# Modules that carry messages to the user, and no values into a result.
MESSAGES = frozenset({"errors", "job"})

# The libraries that compute or draw, by the name under which Python imports them.
LIBRARIES = {
    "anndata": "anndata",
    "matplotlib": "matplotlib",
    "numba": "numba",
    "numpy": "numpy",
    "pynndescent": "pynndescent",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
}


@dataclass(frozen=True)
class Source:
    """One file of code, without comments, docstrings and formatting.

    Attributes
    ----------
    digest : str
        64 hexadecimal digits.
    modules : frozenset of str
        The modules of this package that it imports, such as `stages.knn`, also within functions.
    libraries : frozenset of str
        Those of `LIBRARIES` that it imports, as distributions.
    """

    digest: str
    modules: frozenset[str]
    libraries: frozenset[str]


def of_script(path: str | Path) -> dict[str, Any]:
    """Return what stands for the code of a script in a rule's params.

    Parameters
    ----------
    path : str or Path
        Of a rule's script.

    Returns
    -------
    dict
        `digest`: 64 hexadecimal digits; `libraries`: the version of each library that the script computes with, and of
        the libraries that those are built on.
    """
    path = Path(path)
    # The package's files are parsed only where one of them has changed, because it takes half a second.
    kept = _kept_in(path, _stamp())
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = _found(path)
        # Not where a file was changed since its content was looked at.
        if _kept_in(path, environment.stamp()) == kept:
            _keep(found, kept)
    names = set().union(*map(_built_on, found["libraries"]))
    return {"digest": found["digest"], "libraries": {name: environment.version_of(name) for name in sorted(names)}}


@cache
def _stamp() -> str:
    return environment.stamp()


def _kept_in(path: Path, stamp: str) -> Path:
    """Return the file that keeps what is found of a script, by its content and the stamp of the package."""
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    return environment.cache_folder("code") / f"{stamp[:16]}-{content[:16]}.json"


def _keep(found: dict[str, Any], kept: Path) -> None:
    """Write what is found, as a whole or not at all; without it nothing is lost but time."""
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        whole = kept.with_suffix(f".{os.getpid()}")
        whole.write_text(json.dumps(found), encoding="utf-8")
        whole.replace(kept)


def _found(path: Path) -> dict[str, Any]:
    """Return the digest of a script with the modules that it uses, and the libraries that they import."""
    script = read(path)
    digest = hashlib.sha256(script.digest.encode())
    libraries = set(script.libraries)
    for module in sorted(_closure(script.modules)):
        source = read(_file_of(module))
        libraries |= source.libraries
        digest.update(f"{module} {source.digest}\n".encode())
        for file in _files_beside(module):
            digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return {"digest": digest.hexdigest(), "libraries": sorted(libraries)}


def modules_of(path: str | Path) -> list[str]:
    """Return the modules of this package whose code enters the digest of a script, sorted."""
    return sorted(_closure(read(Path(path)).modules))


@cache
def read(path: Path) -> Source:
    """Read one file of Python; see `Source`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules, libraries = set(), set()
    package = ".".join(path.resolve().relative_to(PACKAGE.resolve().parent).parts[:-1]) if _is_ours(path) else ""
    for name in _imported(tree, package):
        top, _, rest = name.partition(".")
        if top == PACKAGE.name and rest:
            modules.add(rest if _file_of(rest).exists() else rest.rpartition(".")[0])
        elif top in LIBRARIES:
            libraries.add(LIBRARIES[top])
    return Source(_digest(tree), frozenset(modules - MESSAGES - {""}), frozenset(libraries))


def _is_ours(path: Path) -> bool:
    return path.resolve().is_relative_to(PACKAGE.resolve())


def _imported(tree: ast.AST, package: str = "") -> Iterator[str]:
    """Yield what code imports, by whole names; `package` is where it stands, for names that begin with a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{one.name}" for one in node.names)


def _closure(modules: frozenset[str]) -> set[str]:
    found: set[str] = set()
    waiting = set(modules)
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= read(_file_of(module)).modules - found
    return found


def _file_of(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _files_beside(module: str) -> list[Path]:
    """Return what else a module's folder holds, such as the parts of a page; the package's own folder holds nothing."""
    folder = _file_of(module).parent
    if folder == PACKAGE:
        return []
    # Not all files: editors and compilers keep theirs beside the modules, too.
    return sorted(path for path in folder.rglob("*") if path.suffix in environment.DATA_SUFFIXES)


def _digest(tree: ast.AST) -> str:
    return hashlib.sha256(_canonical(tree).encode()).hexdigest()


def _canonical(node: Any) -> str:
    """Return a syntax tree as text, in a form that does not depend on the version of Python.

    Fields that are empty are left out, because newer versions have more of them.
    """
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={_canonical(value)}"
            for name, value in ast.iter_fields(node)
            if not (value is None or value == []) and name not in ("type_comment", "kind")
        ]
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(_canonical(one) for one in node if not _is_text_alone(one))}]"
    return ascii(node)


def _is_text_alone(node: Any) -> bool:
    """Return whether a statement is text and nothing else, as docstrings are."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _built_on(library: str) -> frozenset[str]:
    """Return a library and those of `LIBRARIES`, and of llvmlite, that it requires itself."""
    found = {library}
    try:
        required = requires(library) or []
    except PackageNotFoundError:
        return frozenset(found)
    for requirement in required:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name and "extra ==" not in requirement and name[0] in {*LIBRARIES.values(), "llvmlite"} - found:
            found |= _built_on(name[0])
    return frozenset(found)
