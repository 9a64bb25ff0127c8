"""Files within a zip archive: which one is meant, and its content, never under the path that the archive says."""

from __future__ import annotations

import hashlib
import stat
import zipfile
from pathlib import Path, PurePosixPath

from umap_sweep import packing, store
from umap_sweep.errors import InputError
from umap_sweep.sources import data_table, reading

# What systems put beside the files that somebody packed.
_LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


def is_archive(name: str) -> bool:
    """Return whether a file's name says that it is a zip archive."""
    return name.lower().endswith(".zip")


def unpack(archive: str | Path, member: str | None, most_mb: int | None, folder: str | Path) -> Path:
    """Unpack one file of a zip archive, and return where it is.

    Parameters
    ----------
    archive : str or Path
    member : str or None
        Its path in the archive; without it the only file there in a format that can be read.
    most_mb : int or None
        How many MB it may hold; see `umap_sweep.packing.unpacked`.
    folder : str or Path
        Receives the file, under a name of its own.

    Raises
    ------
    InputError
        Where the archive is damaged or has no such file, several that may be meant, or one that has no place in a
        folder, is encrypted, a link, or larger than it may be.
    """
    archive = Path(archive)
    with (
        reading.explaining_damage(archive, ".zip", (RuntimeError,), "pack it again with deflate, as zip does"),
        zipfile.ZipFile(archive) as opened,
    ):
        info = _meant(opened, archive, member)
        _check(info, archive)
        digest = hashlib.sha256(info.filename.encode()).hexdigest()[:8]
        out = Path(folder) / f"{archive.stem}-{digest}-{PurePosixPath(info.filename).name}"
        called = f"{info.filename} in {archive}"
        with opened.open(info) as packed, store.appearing(out) as temporary, temporary.open("wb") as file:
            for part in packing.unpacked(packed, called, info.compress_size, most_mb):
                file.write(part)
    return out


def _meant(opened: zipfile.ZipFile, archive: Path, member: str | None) -> zipfile.ZipInfo:
    there = {info.filename: info for info in opened.infolist() if not info.is_dir()}
    if member is not None:
        if member not in there:
            raise data_table.unknown(archive, "file", "member", member, list(there))
        return there[member]
    known = [
        name
        for name in there
        if name.lower().endswith(reading.SUFFIXES) and not set(PurePosixPath(name).parts) & set(_LITTER)
    ]
    if not there:
        raise InputError(f"{archive} has no files. Pack it again with the table in it.")
    if not known:
        raise InputError(
            f"{archive} has no file in a format that can be read, only {data_table.listed(there)}. Those are "
            f"{', '.join(reading.SUFFIXES)}."
        )
    if len(known) > 1:
        raise InputError(f"{archive} has {len(known)} files: {data_table.listed(known)}. Name one as `member`.")
    return there[known[0]]


def _check(info: zipfile.ZipInfo, archive: Path) -> None:
    """Raise an `InputError` where a member is nothing that one would unpack unseen."""
    path, called = PurePosixPath(info.filename.replace("\\", "/")), data_table.quoted(info.filename)
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise InputError(
            f"The path of {called} in {archive} leads out of the archive. Pack the file again, by its name."
        )
    if info.flag_bits & 1:
        raise InputError(f"{called} in {archive} is encrypted. Unpack it yourself, and use `source: file`.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise InputError(f"{called} in {archive} is a link to another file. Name that file as `member`.")
    reading.suffix_of(info.filename, f"{info.filename} in {archive}")
