"""Files that are packed: what does not say so, and how much may come out."""

from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import IO

from umap_sweep.errors import InputError

# What packed files begin with.
_BEGINNINGS = {
    b"\x1f\x8b\x08": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"7z\xbc\xaf\x27\x1c": "7z",
}

# What begins a block of bzip2, after a digit; its first three bytes alone may be text.
_BZIP2_BLOCK = b"1AY&SY"

# A file that unpacks to more than this many times its size, and this many MB, is refused unless its source allows it.
MOST_TIMES, MOST_MB = 100, 100

# The packing that the end of a name tells.
_NAMED = {".gz": "gzip", ".npz": "zip"}


def packed_with(path: str | Path) -> str | None:
    """Return what a file is packed with, by the bytes that it begins with; None where it is not packed."""
    with open(path, "rb") as file:
        head = file.read(10)
    found = next((name for beginning, name in _BEGINNINGS.items() if head.startswith(beginning)), None)
    return None if found == "bzip2" and head[4:] != _BZIP2_BLOCK else found


def check(path: str | Path) -> None:
    """Raise an `InputError` where a file is packed with something that its name does not tell."""
    path = Path(path)
    found = packed_with(path)
    if found is None or found == _NAMED.get(path.suffix.lower()):
        return
    is_text = path.suffix.lower() in (".csv", ".tsv")
    excel = ", as a workbook of Excel is" if found == "zip" else ""
    remedy = f"Name it {path.name}.gz" if found == "gzip" and is_text else "Unpack it"
    if excel and is_text:
        remedy += ", or save the workbook as text"
    raise InputError(f"{path} is packed with {found}{excel}, and its name does not say so. {remedy}.")


def unpacked(file: IO[bytes] | BufferedIOBase, called: str, packed_bytes: int, most_mb: int | None) -> Iterator[bytes]:
    """Yield what a packed file holds, in parts.

    Parameters
    ----------
    file : binary file
        Unpacks what is read from it.
    called : str
        What messages call it.
    packed_bytes : int
        Its size as it is packed.
    most_mb : int or None
        How many MB it may hold; by default `MOST_TIMES` its size, or `MOST_MB` where that is more.

    Raises
    ------
    InputError
        Where it holds more.
    """
    limit = (max(MOST_TIMES * packed_bytes / 1e6, MOST_MB) if most_mb is None else most_mb) * 1e6
    read = 0
    while part := file.read(2**22):
        read += len(part)
        if read > limit:
            raise InputError(
                f"{called} has {packed_bytes / 1e6:.1f} MB and holds more than {limit / 1e6:,.0f} MB. If that is "
                f"right, set `max_unpacked_mb` to what it may hold."
            )
        yield part
