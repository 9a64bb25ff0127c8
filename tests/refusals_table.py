"""Collect the sentence that each bad input of the tests gets, and write docs/refusals.md.

    python tests/refusals_table.py

Runs the tests that give bad input to functions, and takes down each `InputError` as it is raised, with the name of its
test. It takes a minute on one core.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {
    "Configuration": ["test_configuration.py"],
    "Data": ["test_fetch.py", "test_text_format.py", "test_subset.py", "test_anndata.py"],
    "Arrays in a notebook": ["test_front_door.py"],
}
HEAD = """# What is refused

Made by `python tests/refusals_table.py` from the tests; do not edit. {count} bad inputs, each with the sentence that it
gets. It is also the last line of a job's log; the exit code is 1, and there is no traceback. Paths are shortened.
"""


class Recorder:
    """A plugin of pytest that takes down each `InputError`, with the test in which it is raised."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.found: dict[str, str] = {}
        self.test = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Remember which test runs, and what its errors say."""
        from umap_sweep.errors import InputError

        self.test = item.nodeid.rpartition("::")[2]
        plain = InputError.__init__

        def recording(error: InputError, *arguments: object) -> None:
            plain(error, *arguments)
            self.found.setdefault(str(error), self.test)

        InputError.__init__ = recording
        try:
            return (yield)
        finally:
            InputError.__init__ = plain


def shortened(message: str) -> str:
    """Return a message as a cell of a table, without the folders of this machine."""
    message = re.sub(r"/[^ ,:;()'\"]*/pytest-of-[^/ ]+/pytest-\d+/[^/ ,:;()'\"]+/?", "", message)
    message = message.replace(str(ROOT) + "/", "")
    if len(message) > 400:
        message = message[:400] + "…"
    return message.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;")


def given(test: str) -> str:
    """Return what a test gives, from its name and its parameters."""
    name, _, parameters = test.partition("[")
    words = name.removeprefix("test_").replace("_", " ")
    text = f"{words}: {parameters.removesuffix(']')}".removesuffix(": ").replace("|", "\\|").replace("<", "&lt;")
    return text if len(text) < 100 else text[:100].rsplit(" ", 1)[0] + " …"


def main() -> int:
    """Run the tests and write the page."""
    parts, count = [], 0
    for title, files in FILES.items():
        recorder = Recorder()
        paths = [str(ROOT / "tests" / file) for file in files]
        code = pytest.main(["-q", "-p", "no:cacheprovider", "--no-header", *paths], plugins=[recorder])
        if code:
            return int(code)
        rows = {(given(test), shortened(message)) for message, test in recorder.found.items()}
        count += len(rows)
        table = [f"| {test} | {message} |" for test, message in sorted(rows)]
        parts += [f"## {title}\n", "| what the test gives | what is said |", "| --- | --- |", *table, ""]
    (ROOT / "docs" / "refusals.md").write_text(HEAD.format(count=count) + "\n" + "\n".join(parts), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
