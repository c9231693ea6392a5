"""Finds the inputs that the arguments of a command name: files, folders, patterns and addresses."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pyarrow.fs as pafs
from undertone_client.jobs import InputError

from undertone_cli.readers.formats import FORMAT_BY_SUFFIX, Format, ReadOptions
from undertone_cli.readers.inputs import STDIN, Input, InputSet
from undertone_cli.readers.object_store import ObjectAddress

WILDCARDS = "*?["
"""Characters that make a name a pattern. In an address, `?` starts the options instead."""


def find_inputs(names: Iterable[str], options: ReadOptions, *, exclude: Path | None = None) -> InputSet:
    """Find the inputs that the arguments of a command name. Sorts the files of each name by path.

    A name is a file, a folder (all files below it), a pattern, an address or `-`. In a pattern,
    `*`, `?` and `[...]` match within a name, and `**` matches any number of folders; a folder that
    matches stands for all files below it. Files are ignored if their name, or that of a folder on
    their path, starts with a dot or an underscore (`_SUCCESS`, `.DS_Store`). A file that is found
    in a folder or by a pattern has the relative path without suffix as its document.

    Args:
        names: arguments of the command.
        options: how the inputs are read.
        exclude: a folder whose files are ignored, such as the output folder.

    Raises:
        InputError: a name has no file or no known format, or two inputs have the same document.
    """
    inputs: list[Input] = []
    skipped: list[str] = []
    for name in names:
        _find(name, options.format, exclude, inputs, skipped)
    return InputSet(inputs, options, skipped=skipped)


def _find(name: str, input_format: Format | None, exclude: Path | None, inputs: list[Input], skipped: list[str]) -> None:
    if name == STDIN:
        if input_format is Format.PARQUET:
            raise InputError("Parquet cannot be read from standard input, because its index is at the end; name a file")
        inputs.append(Input(name, input_format or Format.TEXT, "stdin"))
        return
    if (address := ObjectAddress.parse(name)) is not None:
        files = _files_in_store(address)
        if files is None:
            inputs.append(_input(str(address), PurePosixPath(address.path.split("/")[-1]), input_format))
            return
        name = address.display_name
    elif "://" in name:
        raise InputError(f"{name}: addresses must start with s3:// or gs://; copy the input to a local file first")
    elif (path := Path(name)).is_dir():
        files = ((str(path / relative), relative) for relative in _walk(path, exclude))
    elif path.exists():
        inputs.append(_input(name, PurePosixPath(path.name), input_format))
        return
    elif any(character in name for character in WILDCARDS):
        files = _matching_files(name, exclude)
    else:
        raise InputError(f"{name} does not exist")
    _add_files(name, files, input_format, inputs, skipped)


def _files_in_store(address: ObjectAddress) -> Iterator[tuple[str, str]] | None:
    """Address and relative path of each file below a prefix or of a pattern; None for an object."""
    segments = address.path.split("/")
    first_wildcard = next((index for index, segment in enumerate(segments) if "*" in segment or "[" in segment), len(segments))
    if first_wildcard < len(segments):
        base, pattern = address.with_path("/".join(segments[:first_wildcard])), segments[first_wildcard:]
        return (
            (str(address.with_path(path)), relative)
            for path, relative in base.files_below()
            if _matches(relative.split("/"), pattern)
        )
    match address.file_type():
        case pafs.FileType.File:
            return None
        case pafs.FileType.Directory:
            return ((str(address.with_path(path)), relative) for path, relative in address.files_below())
    raise InputError(f"{address.display_name} does not exist")


def _walk(folder: Path, exclude: Path | None) -> Iterator[str]:
    """Relative paths of all files below a folder."""
    excluded = exclude.resolve() if exclude else None
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(parent, name).resolve() != excluded]
        yield from (str(Path(parent, name).relative_to(folder)) for name in files)


def _matching_files(pattern: str, exclude: Path | None) -> Iterator[tuple[str, str]]:
    base = Path(pattern)
    while any(character in str(base) for character in WILDCARDS):
        base = base.parent
    excluded = exclude.resolve() if exclude else None
    for match in map(Path, glob.iglob(pattern, recursive=True)):  # noqa: PTH207 - patterns may be absolute
        if match.is_dir():
            if match.resolve() != excluded:
                paths = (match / relative for relative in _walk(match, exclude))
                yield from ((str(path), str(path.relative_to(base))) for path in paths)
        elif excluded is None or not match.resolve().is_relative_to(excluded):
            yield str(match), str(match.relative_to(base))


def _matches(segments: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path, or a folder on it, matches a pattern."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(_matches(segments[index:], pattern[1:]) for index in range(len(segments) + 1))
    return bool(segments) and fnmatchcase(segments[0], pattern[0]) and _matches(segments[1:], pattern[1:])


def _add_files(
    name: str, files: Iterator[tuple[str, str]], input_format: Format | None, inputs: list[Input], skipped: list[str]
) -> None:
    found, unknown = [], []
    # A pattern with ** can find the same file more than once.
    for path, relative_path in sorted(set(files), key=lambda file: file[1]):
        relative = PurePosixPath(relative_path)
        if any(segment.startswith((".", "_")) for segment in relative.parts):
            continue
        if input_format is None and relative.suffix.lower() not in FORMAT_BY_SUFFIX:
            unknown.append(relative_path)
        else:
            found.append(_input(path, relative, input_format))
    if not found:
        hint = f"; the format of {unknown[0]} is unknown: set it with --format" if unknown else ""
        raise InputError(f"{name}: there is no file to read{hint}")
    inputs += found
    skipped += unknown


def _input(name: str, relative: PurePosixPath, input_format: Format | None) -> Input:
    file_format = input_format or FORMAT_BY_SUFFIX.get(relative.suffix.lower())
    if file_format is None:
        raise InputError(f"{name}: the suffix {relative.suffix!r} does not determine the format; set it with --format")
    return Input(name, file_format, str(relative.with_suffix("")))
