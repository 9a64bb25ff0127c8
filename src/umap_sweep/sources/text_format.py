"""How a table of text is written: its separator, decimal sign and encoding, given or as they are beyond doubt."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.csv

from umap_sweep import packing
from umap_sweep.errors import InputError

# The separator of each format, where the file does not plainly have another.
SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}

# The keys of a source that say how its text is written.
KEYS = ("separator", "decimal", "encoding")

# How much is looked at.
HEAD_BYTES, HEAD_LINES = 2**18, 50

_DECIMAL_COMMA = re.compile(r"-?\d+,(\d+)([eE][+-]?\d+)?")
_DECIMAL_POINT = re.compile(r"-?\d+\.\d+([eE][+-]?\d+)?")
# A number, with a point before decimals, or a boolean; and what stands for a missing one.
_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)|true|false", re.IGNORECASE)
_MISSING = frozenset(pyarrow.csv.ConvertOptions().null_values)


@dataclass(frozen=True)
class TextFormat:
    """How text is written: one character each for `separator` and `decimal`, and Python's name of the `encoding`."""

    separator: str
    decimal: str = "."
    encoding: str = "utf8"


def of_file(path: Path, suffix: str, given: Mapping[str, str]) -> TextFormat:
    """Return how a table of text is written.

    Parameters
    ----------
    path : Path
    suffix : str
        One of `SEPARATORS`.
    given : mapping of str to str
        Those of `KEYS` that the source says. The others are taken from the beginning of the file, where it leaves no
        doubt: UTF-16 by its byte-order mark, another separator where all lines have it equally often and none has the
        usual one, and decimal commas where commas separate nothing.

    Raises
    ------
    InputError
        Where the encoding is unknown or another one, and where a comma may stand for two things.
    """
    with _opened(path, suffix) as file:
        head = file.read(HEAD_BYTES)
    encoding = given.get("encoding") or ("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf8")
    lines = _decoded(head, encoding, path, "encoding" in given).splitlines()
    if len(head) == HEAD_BYTES:  # then the last line may be cut
        lines = lines[:-1] or lines
    lines = [line for line in lines[:HEAD_LINES] if line]
    separator = given.get("separator") or _separator(lines, SEPARATORS[suffix])
    decimal = given.get("decimal") or _decimal(lines, separator, path)
    _check_signs(separator, decimal, given, path)
    _check_ends(lines, separator, path)
    found = TextFormat(separator, decimal, encoding)
    if found != TextFormat(SEPARATORS[suffix]):
        logging.getLogger("umap_sweep").info(
            "%s is read as %s, with %r between values and %r before decimals", path, encoding, separator, decimal
        )
    return found


def first_not_numeric(
    path: Path, suffix: str, given: Mapping[str, str], names: Sequence[str]
) -> dict[str, tuple[str, int]]:
    """Return by column the first value that is no number and not missing, and its line, from 1; not where none is.

    Parameters
    ----------
    path, suffix, given
        As for `of_file`.
    names : sequence of str
        Columns.
    """
    written = of_file(path, suffix, given)
    encoding = "utf-8-sig" if written.encoding == "utf8" else written.encoding
    found: dict[str, tuple[str, int]] = {}
    with _opened(path, suffix) as packed, io.TextIOWrapper(packed, encoding, newline="") as file:
        reader = csv.reader(file, delimiter=written.separator)
        try:
            header = next(reader)
            places = {name: header.index(name) for name in names if name in header}
            for row in reader:
                for name, place in places.items():
                    if place < len(row) and not _is_number(row[place], written.decimal):
                        found[name] = row[place], reader.line_num
                places = {name: place for name, place in places.items() if name not in found}
                if not places:
                    break
        except (csv.Error, UnicodeDecodeError, StopIteration):  # what is wrong then is said by who reads it
            pass
    return found


def _is_number(value: str, decimal: str) -> bool:
    plain = value.strip()
    return plain in _MISSING or _NUMBER.fullmatch(plain.replace(decimal, ".")) is not None


def _opened(path: Path, suffix: str) -> gzip.GzipFile | io.BufferedReader:
    return gzip.GzipFile(path) if suffix.endswith(".gz") else path.open("rb")


def _check_signs(separator: str, decimal: str, given: Mapping[str, str], path: Path) -> None:
    """Raise an `InputError` where one sign stands between values and before decimals."""
    if separator != decimal:
        return
    what = "`separator` and `decimal` are both" if "separator" in given else "`decimal` is"
    between = "" if "separator" in given else f", which stands between the values of {path}"
    raise InputError(f"{what} {decimal!r}{between}. One sign cannot be both: mend one of the two, or leave it out.")


def _check_ends(lines: Sequence[str], separator: str, path: Path) -> None:
    """Raise an `InputError` where all lines but that of the names end in a separator, and so have a value too many."""
    head, rest = lines[:1], lines[1:]
    if not rest or any('"' in line for line in lines) or head[0].endswith(separator):
        return
    if all(line.endswith(separator) and line.count(separator) == head[0].count(separator) + 1 for line in rest):
        raise InputError(
            f"Each line of {path} but the first ends in {separator!r}, and so has a value more than there are names. "
            f"Take it from the ends of the lines, or put one at the end of the first."
        )


def _decoded(head: bytes, encoding: str, path: Path, is_given: bool) -> str:
    if not is_given and encoding == "utf8" and b"\0" in head:
        raise InputError(f"{path} has NUL bytes, so that it is no UTF-8 text. Set `encoding`, perhaps to utf-16.")
    try:
        return head.decode(encoding)
    except LookupError:
        raise InputError(
            f"`encoding` is {encoding!r}, which Python does not know; such are utf-8, latin-1, cp1252."
        ) from None
    except UnicodeDecodeError as error:
        if len(head) == HEAD_BYTES and error.start >= len(head) - 4:  # a character that the end of the head has cut
            return head[: error.start].decode(encoding)
        line = head.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path} is not {'UTF-8' if encoding == 'utf8' else encoding} text: byte 0x{head[error.start]:02x} in line "
            f"{line}. Set `encoding` to what it was written in, such as latin-1 or cp1252."
        ) from None


def _separator(lines: Sequence[str], usual: str) -> str:
    if not lines or any(usual in line for line in lines[:1]):
        return usual
    for other in ("\t", ";", "|", ","):
        counts = {line.count(other) for line in lines}
        if other != usual and len(counts) == 1 and counts != {0}:
            return other
    return usual


def _decimal(lines: Sequence[str], separator: str, path: Path) -> str:
    if separator == ",":
        return "."
    values = [value.strip().strip('"') for line in lines[1:] for value in line.split(separator)]
    commas = [match for value in values if (match := _DECIMAL_COMMA.fullmatch(value))]
    if not commas or any(map(_DECIMAL_POINT.fullmatch, values)):
        return "."
    if all(len(match[1]) == 3 and match[2] is None for match in commas):
        raise InputError(
            f"{path} has numbers such as {commas[0][0]}, in which the comma may stand before decimals or between "
            f"thousands. Set `decimal` to ',', or write the numbers without a sign for thousands."
        )
    return ","


def check_unpacked(path: Path, suffix: str, most_mb: int | None) -> None:
    """Raise an `InputError` where a packed file holds far more than its size says.

    Parameters
    ----------
    path : Path
    suffix : str
    most_mb : int or None
        How many MB it may hold; see `umap_sweep.packing.unpacked`.
    """
    if not suffix.endswith(".gz"):
        return
    with gzip.open(path) as file:
        for _ in packing.unpacked(file, str(path), path.stat().st_size, most_mb):
            pass
