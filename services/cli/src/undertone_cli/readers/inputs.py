"""The inputs of a run: files, objects and standard input, and the paragraphs that they contain."""

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from undertone_client.jobs import InputError

from undertone_cli.readers.bad_lines import BadLine, BadLinePolicy
from undertone_cli.readers.column_types import RowTypes
from undertone_cli.readers.compression import Compression, DecompressedStream
from undertone_cli.readers.csv_rows import read_csv
from undertone_cli.readers.encoding import STDIN_NAME
from undertone_cli.readers.formats import Format, ReadOptions
from undertone_cli.readers.json_records import read_json
from undertone_cli.readers.names import printable
from undertone_cli.readers.object_store import ObjectAddress
from undertone_cli.readers.paragraphs import InputParagraph, UniqueIds, number_paragraphs
from undertone_cli.readers.parquet_rows import read_parquet
from undertone_cli.readers.plain_text import read_text
from undertone_cli.readers.raw_record import RawRecord
from undertone_cli.readers.type_inference import TypeInference

STDIN = "-"
BUFFER_BYTES = 64 * 1024
"""Size of the buffer from which lines are taken, and of the sample of an encoding."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input.

    Attributes:
        name: path or address; `-` is standard input.
        format: format of the content.
        document: name of the document of all paragraphs, unless a column has the name.
        address: address of an object; None for a file and for standard input. `name` is never
            parsed, because a key may look like an address with options.
    """

    name: str
    format: Format
    document: str
    address: ObjectAddress | None = None

    @property
    def is_stdin(self) -> bool:
        """Whether the input is standard input."""
        return self.name == STDIN

    @property
    def compression(self) -> Compression | None:
        """The compression that the name shows. The content must then be compressed."""
        return None if self.is_stdin else Compression.of_name(self.address.path if self.address else self.name)

    @property
    def recorded_name(self) -> str:
        """The name in _run.json: an absolute path, which later commands find from any folder."""
        return self.name if self.is_stdin or self.address is not None else str(Path(self.name).absolute())

    @property
    def relative_hint(self) -> str:
        """The remedy for a relative path, which folders of earlier releases have. Else empty."""
        if self.is_stdin or self.name == self.recorded_name:
            return ""
        return f" in {Path.cwd()}; its path is relative: call this command where you scored it"

    @property
    def rereadable(self) -> bool:
        """Whether the input can be read again: a regular file or an object, not a pipe."""
        return not self.is_stdin and (self.address is not None or Path(self.name).is_file())

    @property
    def display_name(self) -> str:
        """The name in messages, without credentials."""
        if self.is_stdin:
            return STDIN_NAME
        return self.address.display_name if self.address else printable(self.name)

    def version(self) -> object:
        """A value that differs after a file or an object was replaced or changed.

        Raises:
            InputError: the input cannot be opened.
        """
        if self.address is not None:
            return self.address.version()
        try:
            status = Path(self.name).stat()
        except OSError as error:
            raise InputError(f"{self.display_name} cannot be read: {error.strerror or error}") from None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def size(self) -> int | None:
        """Bytes of the content, compressed as it is. None for a pipe.

        Raises:
            InputError: the input cannot be opened.
        """
        if not self.rereadable:
            return None
        if self.address is not None:
            return self.address.size()
        try:
            return Path(self.name).stat().st_size
        except OSError as error:
            raise InputError(f"{self.display_name} cannot be read: {error.strerror or error}") from None

    def stream(self) -> io.RawIOBase:
        """Open the input, and return its bytes from the start.

        Raises:
            InputError: the input cannot be opened.
        """
        if self.address is not None:
            return self.address.stream()
        # Python cannot close sys.stdin at exit while the reader thread waits for input.
        try:
            return io.FileIO(0, closefd=False) if self.is_stdin else io.FileIO(self.name)
        except OSError as error:
            raise InputError(f"{self.display_name} cannot be read: {error.strerror or error}") from None

    def file(self) -> Any:
        """The path of a file, or an Arrow file of an object, for random access.

        Raises:
            InputError: the input cannot be opened.
        """
        return self.address.file() if self.address else self.name


BadLineObserver = Callable[[Input, BadLine], None]
"""Receives each line that is skipped."""


def _unobserved(source: Input, line: BadLine) -> None:
    pass


StreamFilter = Callable[[Input, io.RawIOBase], io.RawIOBase]


def _unfiltered(source: Input, stream: io.RawIOBase) -> io.RawIOBase:
    return stream


def _observed(records: Iterable[tuple[str, RawRecord]], inference: TypeInference) -> Iterator[tuple[str, RawRecord]]:
    for document, record in records:
        inference.add(record)
        yield document, record


class InputSet:
    """Several inputs, read in the given order.

    Attributes:
        inputs: the inputs.
        options: how the inputs are read.
        skipped: files in folders that are ignored, because their suffix has no known format.
        loops: symbolic links that are ignored, because they lead to a folder above them.

    Raises:
        InputError: two inputs have the same document name, which would make duplicate ids.
    """

    def __init__(
        self, inputs: Iterable[Input], options: ReadOptions, *, skipped: Iterable[str] = (), loops: Iterable[str] = ()
    ) -> None:
        self.options = options
        self.inputs = tuple(inputs)
        self.skipped = tuple(skipped)
        self.loops = tuple(loops)
        self._versions: dict[Input, object] = {}
        self._started: dict[Input, Iterator[RawRecord]] = {}
        self._skipped: list[tuple[Input, BadLine]] = []
        by_document: defaultdict[str, list[Input]] = defaultdict(list)
        for source in self.inputs:
            if options.document_column is None or source.format is Format.TEXT:
                by_document[source.document].append(source)
        for document, sources in by_document.items():
            if len(sources) > 1:
                names = " and ".join(source.display_name for source in sources)
                raise InputError(f"{names} would both be the document {document!r}; rename one, or score them separately")

    @property
    def rereadable(self) -> bool:
        """Whether all inputs can be read again."""
        return all(source.rereadable for source in self.inputs)

    @property
    def size(self) -> int | None:
        """Bytes of all inputs. None if one of them is a pipe.

        Raises:
            InputError: an input cannot be opened.
        """
        sizes = [source.size() for source in self.inputs]
        return sum(size or 0 for size in sizes) if None not in sizes else None

    def paragraphs(
        self,
        ids: UniqueIds | None = None,
        stream_filter: StreamFilter = _unfiltered,
        *,
        types: RowTypes | None = None,
        inference: TypeInference | None = None,
        on_skipped_line: BadLineObserver = _unobserved,
    ) -> Iterator[InputParagraph]:
        """All paragraphs.

        Args:
            ids: checks that ids are unique; None does not check.
            stream_filter: wraps the stream of each input that is not Parquet.
            types: the types that ids and kept columns must have; None does not check.
            inference: receives each record.
            on_skipped_line: receives each line that cannot be read and is skipped.

        Raises:
            InputError: an input cannot be read, or an id is missing or a duplicate.
        """
        records: Iterable[tuple[str, RawRecord]] = (
            (source.document, record)
            for source in self.inputs
            for record in self._all_records(source, stream_filter, on_skipped_line)
        )
        if inference is not None:
            records = _observed(records, inference)
        return number_paragraphs(records, self.options.id_column, ids, keep=self.options.keep, types=types)

    def first_types(self) -> RowTypes:
        """The types of the first record of each input. A later call of `paragraphs` has it again.

        Raises:
            InputError: an input cannot be read, or the types differ.
        """
        inference = TypeInference(self.options.keep)
        for source in self.inputs:
            records = self._records(source, _unfiltered, lambda *skipped: self._skipped.append(skipped))
            first = next(records, None)
            if first is not None:
                inference.add(first)
            if not source.rereadable:
                self._started[source] = chain([first] if first is not None else [], records)
        return inference.types

    def check_version(self, source: Input) -> None:
        """Check that an input is the one that the first call of this method found.

        Parquet is not read from start to end, so that a hash cannot show changes.

        Raises:
            InputError: the input has changed, or it cannot be opened.
        """
        version = source.version()
        if self._versions.setdefault(source, version) != version:
            raise InputError(f"{source.display_name} has changed since it was first read; score a copy that does not change")

    def _all_records(self, source: Input, stream_filter: StreamFilter, observe: BadLineObserver) -> Iterator[RawRecord]:
        """The records of an input. `first_types` may have read the first ones."""
        started = self._started.pop(source, None)
        if started is None:
            self._skipped.clear()
            yield from self._records(source, stream_filter, observe)
            return
        for record in chain(started, (None,)):
            while self._skipped:
                observe(*self._skipped.pop(0))
            if record is not None:
                yield record

    def _records(self, source: Input, stream_filter: StreamFilter, observe: BadLineObserver) -> Iterator[RawRecord]:
        name = source.display_name
        if source.format is Format.PARQUET:
            self.check_version(source)
            yield from read_parquet(source.file(), name, self.options)
            self.check_version(source)
            return
        first_bad: list[BadLine] = []

        def on_bad_line(line: BadLine) -> None:
            if self.options.on_bad_line is BadLinePolicy.FAIL:
                raise line.error(name)
            if not first_bad:
                first_bad.append(line)
            observe(source, line)

        content = DecompressedStream(stream_filter(source, source.stream()), source.compression)
        with io.BufferedReader(content, BUFFER_BYTES) as stream:
            found = False
            for record in self._format_records(source, stream, on_bad_line):
                found = True
                yield record
        if first_bad and not found:
            reason = f"line {first_bad[0].line}: {first_bad[0].reason}"
            raise InputError(f"{name}: no line can be read ({reason}); check the file, and its format (--format)")

    def _format_records(
        self, source: Input, stream: "io.BufferedReader[Any]", on_bad_line: Callable[[BadLine], None]
    ) -> Iterator[RawRecord]:
        name, options = source.display_name, self.options
        match source.format:
            case Format.JSONL | Format.JSON:
                return read_json(stream, name, options, on_bad_line)
            case Format.CSV:
                return read_csv(stream, name, options, on_bad_line, delimiter=options.delimiter or ",")
            case Format.TSV:
                return read_csv(stream, name, options, on_bad_line, delimiter=options.delimiter or "\t")
        return read_text(stream, name, options, on_bad_line)
