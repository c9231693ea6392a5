"""Finds the inputs that the arguments of a command name: files, folders, patterns and addresses."""

import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.fs as pafs
from undertone_client.jobs import InputError

from undertone_cli.readers.compression import Compression, DecompressedStream
from undertone_cli.readers.encoding import SIGNATURE_BYTES, describe_signature
from undertone_cli.readers.formats import FORMAT_BY_SUFFIX, TEXT_COLUMN, Format, ReadOptions, without_compression
from undertone_cli.readers.inputs import STDIN, Input, InputSet
from undertone_cli.readers.local_files import FolderWalk, is_ignored, special_kind
from undertone_cli.readers.names import printable, valid_unicode
from undertone_cli.readers.object_store import ObjectAddress
from undertone_cli.readers.patterns import matches

WILDCARDS = "*?["
"""Characters that make a name a pattern. In an address, `?` starts the options instead."""

UNREADABLE_SEGMENTS = frozenset({"", ".", ".."})
"""Segments of a key that HTTP clients remove from a URL."""


def find_inputs(
    names: Iterable[str], options: ReadOptions, *, exclude: Path | None = None, optional: Collection[str] = ()
) -> InputSet:
    """Find the inputs that the arguments of a command name. Sorts the files of each name by path.

    A name is a file, a folder (all files below it), a pattern, an address or `-`. In a pattern,
    `*`, `?` and `[...]` match within a name, and `**` matches any number of folders; a folder that
    matches stands for all files below it. Files are ignored if their name, or that of a folder on
    their path, starts with a dot or an underscore (`_SUCCESS`, `.DS_Store`). Symbolic links are
    followed, except those that lead to a folder above them. A file that is found
    in a folder or by a pattern has the relative path without suffix as its document.

    Args:
        names: arguments of the command.
        options: how the inputs are read.
        exclude: a folder whose files are ignored, such as the output folder.
        optional: flags of options that are for inputs with columns only, such as those from a
            configuration file. Without such inputs, their values are ignored.

    Raises:
        InputError: a name has no file or no known format, a folder or a file cannot be read, two
            inputs have the same document, or no input can have an option that is not optional.
    """
    search = _Search(options.format, exclude)
    for name in names:
        search.add(name)
    if search.inputs and all(source.format is Format.TEXT for source in search.inputs):
        options = _without_columns(options, optional)
    if search.inputs and not any(source.format in (Format.CSV, Format.TSV) for source in search.inputs):
        options = _without_delimiter(options, optional)
    return InputSet(search.inputs, options, skipped=search.skipped, loops=search.loops)


@dataclass(frozen=True, slots=True)
class _Found:
    """A file or an object in a folder. `problem` says why it cannot be read."""

    name: str
    relative: str
    address: ObjectAddress | None = None
    problem: str | None = None


@dataclass(slots=True)
class _Search:
    """Collects the inputs of all names."""

    format: Format | None
    exclude: Path | None
    inputs: list[Input] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Add the inputs of one argument."""
        if name == STDIN:
            if self.format is Format.PARQUET:
                raise InputError("Parquet cannot be read from standard input, because its index is at the end; name a file")
            self.inputs.append(Input(name, self.format or Format.TEXT, "stdin"))
        elif (address := ObjectAddress.parse(name)) is not None:
            files = _objects(address)
            if files is None:
                self._add_input(str(address), address.path.split("/")[-1], address)
            else:
                self._add_files(address.display_name, files)
        elif "://" in name:
            scheme, _, path = name.partition("://")
            remedy = f"name the file as {path}" if scheme == "file" else "copy the input to a local file first"
            raise InputError(f"{printable(name)}: addresses must start with s3:// or gs://; {remedy}")
        else:
            self._add_path(name)

    def _add_path(self, name: str) -> None:
        path = Path(name)
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            if not any(character in name for character in WILDCARDS):
                raise InputError(f"{printable(name)} does not exist") from None
            segments = path.parts
            first = next(index for index, segment in enumerate(segments) if set(segment) & set(WILDCARDS))
            self._add_walk(name, FolderWalk(Path(*segments[:first]), segments[first:], self.exclude))
        except OSError as error:
            raise InputError(f"{printable(name)} cannot be read: {error.strerror or error}") from None
        except ValueError:  # a null character
            raise InputError(f"{printable(name)} does not exist") from None
        else:
            if path.is_dir():
                self._add_walk(name, FolderWalk(path, exclude=self.exclude))
                return
            if (kind := special_kind(mode)) in ("a socket", "a device"):
                raise InputError(f"{printable(name)} is {kind}; name a file, or pass - to read standard input")
            self._add_input(name, path.name)

    def _add_walk(self, name: str, walk: FolderWalk) -> None:
        if not walk.folder.is_dir():
            raise InputError(f"{printable(name)}: there is no file to read")
        self._add_files(printable(name), (_Found(file.path, file.relative, problem=file.problem) for file in walk.files()))
        self.loops += walk.loops

    def _add_files(self, name: str, files: Iterable[_Found]) -> None:
        found = 0
        unknown: list[str] = []
        for file in sorted(files, key=lambda file: file.relative):
            relative = without_compression(file.relative)
            if self.format is None and relative.suffix.lower() not in FORMAT_BY_SUFFIX:
                unknown.append(printable(file.relative))
                continue
            if file.problem is not None:
                display_name = file.address.display_name if file.address else printable(file.name)
                raise InputError(f"{display_name} {file.problem}")
            # A file with the name of standard input in the current folder.
            self._add_input(f"./{file.name}" if file.name == STDIN else file.name, file.relative, file.address)
            found += 1
        if not found:
            hint = f"; the format of {unknown[0]} is unknown: set it with --format" if unknown else ""
            raise InputError(f"{name}: there is no file to read{hint}")
        self.skipped += unknown

    def _add_input(self, name: str, relative: str, address: ObjectAddress | None = None) -> None:
        path = without_compression(relative)
        file_format = self.format or FORMAT_BY_SUFFIX.get(path.suffix.lower())
        if file_format is None:
            if address is None and (problem := _describe_content(name)) is not None:
                raise InputError(f"{printable(name)}: {problem}")
            raise InputError(
                f"{printable(name)}: the suffix {path.suffix!r} does not determine the format; set it with --format"
            )
        if file_format is Format.PARQUET and (compression := Compression.of_name(relative)) is not None:
            raise InputError(
                f"{printable(name)} is compressed with {compression}, but Parquet is read in any order and compresses its "
                "columns itself: decompress the file"
            )
        self.inputs.append(Input(name, file_format, valid_unicode(str(path.with_suffix(""))), address))


def _describe_content(name: str) -> str | None:
    """What a local file is whose suffix is that of no format, and the remedy. None for text."""
    path = Path(name)
    if not path.is_file():  # a FIFO would wait for its writer
        return None
    try:
        with io.BufferedReader(DecompressedStream(io.FileIO(path))) as file:
            return describe_signature(file.read(SIGNATURE_BYTES), name)
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"


_REMOVE = "remove the option from the command line"


def _without_columns(options: ReadOptions, optional: Collection[str]) -> ReadOptions:
    """Plain text has no columns. With inputs that have columns, the options are for these."""
    for flag, column in zip(options.flags[:3], options.columns[:3], strict=True):
        if column not in (None, TEXT_COLUMN) and flag not in optional:
            raise InputError(f"{flag} {column!r}: plain text has no columns; {_REMOVE}, or set another --format")
    keep = tuple(column for column in options.keep if column == TEXT_COLUMN or "--keep" not in optional)
    return replace(options, text_column=TEXT_COLUMN, id_column=None, document_column=None, keep=keep)


def _without_delimiter(options: ReadOptions, optional: Collection[str]) -> ReadOptions:
    if not options.quotes and "--no-quotes" not in optional:
        raise InputError(f"--no-quotes: no input is CSV or TSV; {_REMOVE}, or set --format csv")
    if options.delimiter and "--delimiter" not in optional:
        raise InputError(f"--delimiter {options.delimiter!r}: no input is CSV or TSV; {_REMOVE}, or set --format csv")
    return replace(options, quotes=True, delimiter=None)


def _objects(address: ObjectAddress) -> Iterator[_Found] | None:
    """The objects below a prefix or of a pattern; None if the address is that of an object."""
    segments = address.path.split("/")
    first = next((index for index, segment in enumerate(segments) if "*" in segment or "[" in segment), len(segments))
    base, pattern = address.with_path("/".join(segments[:first])), segments[first:]
    if not pattern:
        match address.file_type():
            case pafs.FileType.File:
                return None
            case pafs.FileType.NotFound:
                raise InputError(f"{address.display_name} does not exist")
    return (
        _Found(str(found), relative, found, _key_problem(relative))
        for path, relative in base.files_below()
        if matches(parts := relative.split("/"), pattern) and not any(is_ignored(part) for part in parts)
        for found in (base.with_path(path),)
    )


def _key_problem(relative: str) -> str | None:
    """Why an object cannot be read. Arrow's HTTP client would request another key in its place."""
    if UNREADABLE_SEGMENTS.isdisjoint(relative.split("/")):
        return None
    return "cannot be read: its key has a part that is empty, '.' or '..'; copy it to another key"
