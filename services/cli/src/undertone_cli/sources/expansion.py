"""From the names on a command line to inputs: files as they are, folders and patterns as the files they stand for."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pyarrow.fs as pafs
from undertone_client.jobs import InputError

from undertone_cli.sources.address import Address
from undertone_cli.sources.input import STANDARD_INPUT, Input
from undertone_cli.sources.options import SUFFIXES, Format

MARKS = "*?["
"""What makes a name a pattern. In an address `?` begins the options, and only the other two do."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """The inputs that a name stands for, and the files below it that were left out because their suffix says nothing."""

    inputs: tuple[Input, ...]
    skipped: tuple[str, ...] = ()


def expand(name: str, form: Format | None, exclude: Path | None = None) -> Expansion:
    """What `name` stands for: itself, all files below a folder, or all that match a pattern, in the order of their names.

    `*`, `?` and `[...]` match within a name, `**` any number of folders; what lies below a folder that matches is read, too.
    Passed over are files whose name, or a folder's on the way to them, begins with a dot or an underscore, as those are no
    data (`_SUCCESS`, `.DS_Store`), and what lies below `exclude`. The document of a file found in this way is its path below
    the folder, or below the last folder before the first mark of the pattern, without suffix.

    Raises:
        InputError: there is nothing by that name, or nothing in it that can be read; or its form is not known.
    """
    if name == STANDARD_INPUT:
        if form is Format.PARQUET:
            raise InputError("Parquet cannot be read from standard input, as its index stands at the end; name a file")
        return Expansion((Input(name, form or Format.TEXT, "stdin"),))
    if (address := Address.parse(name)) is not None:
        return _expand_address(address, form)
    if "://" in name:
        raise InputError(f"{name}: only addresses that begin with s3:// or gs:// can be read; copy it to a file first")
    path = Path(name)
    if path.is_dir():
        return _found(name, ((str(path / below), below) for below in _walk(path, exclude)), form)
    if path.exists():
        return Expansion((_named(name, PurePosixPath(path.name), form),))
    if any(mark in name for mark in MARKS):
        return _found(name, _matching_files(name, exclude), form)
    raise InputError(f"{name} does not exist")


def _expand_address(address: Address, form: Format | None) -> Expansion:
    *_, last = segments = address.path.split("/")
    plain = next((index for index, segment in enumerate(segments) if "*" in segment or "[" in segment), len(segments))
    if plain < len(segments):
        base, pattern = address.at("/".join(segments[:plain])), segments[plain:]
        files = ((path, below) for path, below in base.files_below() if _matches(below.split("/"), pattern))
        return _found(address.shown, ((str(address.at(path)), below) for path, below in files), form)
    match address.kind():
        case pafs.FileType.File:
            return Expansion((_named(str(address), PurePosixPath(last), form),))
        case pafs.FileType.Directory:
            return _found(address.shown, ((str(address.at(path)), below) for path, below in address.files_below()), form)
    raise InputError(f"{address.shown} does not exist")


def _walk(folder: Path, exclude: Path | None) -> Iterator[str]:
    """Paths of all files below, relative to the folder."""
    excluded = exclude.resolve() if exclude else None
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(parent, name).resolve() != excluded]
        yield from (str(Path(parent, name).relative_to(folder)) for name in files)


def _matching_files(pattern: str, exclude: Path | None) -> Iterator[tuple[str, str]]:
    base = Path(pattern)
    while any(mark in str(base) for mark in MARKS):
        base = base.parent
    excluded = exclude.resolve() if exclude else None
    for match in map(Path, glob.iglob(pattern, recursive=True)):  # noqa: PTH207 - absolute patterns, too
        if match.is_dir():
            if match.resolve() != excluded:
                yield from ((str(match / below), str((match / below).relative_to(base))) for below in _walk(match, exclude))
        elif excluded is None or not match.resolve().is_relative_to(excluded):
            yield str(match), str(match.relative_to(base))


def _matches(segments: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path, or a folder that it lies in, matches a pattern."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(segments[index:], pattern[1:]) for index in range(len(segments) + 1))
    return bool(segments) and fnmatchcase(segments[0], pattern[0]) and _matches(segments[1:], pattern[1:])


def _found(name: str, files: Iterator[tuple[str, str]], form: Format | None) -> Expansion:
    inputs, skipped = [], []
    # A pattern with ** finds the same file by several ways.
    for path, below in sorted(set(files), key=lambda file: file[1]):
        relative = PurePosixPath(below)
        if any(segment.startswith((".", "_")) for segment in relative.parts):
            continue
        if form is None and relative.suffix.lower() not in SUFFIXES:
            skipped.append(below)
        else:
            inputs.append(_named(path, relative, form))
    if not inputs:
        form_unknown = (
            f", only such as {skipped[0]}: its form is not known by its suffix, say it with --format" if skipped else ""
        )
        raise InputError(f"{name}: there is no file to read{form_unknown}")
    return Expansion(tuple(inputs), tuple(skipped))


def _named(name: str, relative: PurePosixPath, form: Format | None) -> Input:
    found = form or SUFFIXES.get(relative.suffix.lower())
    if found is None:
        raise InputError(f"{name}: the suffix {relative.suffix!r} says nothing of its form; say it with --format")
    return Input(name, found, str(relative.with_suffix("")))
