"""The inputs of a run: what they are, and their paragraphs one after the other."""

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from undertone_client.errors import InputError
from undertone_client.sources.csv_rows import read_csv
from undertone_client.sources.item import Item, Record
from undertone_client.sources.jsonl import read_jsonl
from undertone_client.sources.ledger import IdLedger
from undertone_client.sources.numbering import number
from undertone_client.sources.options import SUFFIXES, Format, SourceOptions
from undertone_client.sources.parquet import read_parquet
from undertone_client.sources.text import read_text

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """One input: as it was named, its form, and the document that its paragraphs belong to unless a column says otherwise."""

    name: str
    format: Format
    document: str

    @property
    def standard(self) -> bool:
        """Whether it is standard input."""
        return self.name == STANDARD_INPUT

    @property
    def repeatable(self) -> bool:
        """Whether it can be read more than once: a regular file, no pipe."""
        return not self.standard and Path(self.name).is_file()


class Catalogue:
    """Several inputs, read in the order given.

    Raises:
        InputError: one does not exist or has no known form, or two would make the same ids.
    """

    def __init__(self, names: Iterable[str], options: SourceOptions) -> None:
        self.options = options
        self.inputs = tuple(_input(name, options) for name in names)
        by_document: defaultdict[str, list[Input]] = defaultdict(list)
        for source in self.inputs:
            if options.document_column is not None and source.format is not Format.TEXT:
                continue
            by_document[source.document].append(source)
        for document, sources in by_document.items():
            if len(sources) > 1:
                names = " and ".join(source.name for source in sources)
                raise InputError(f"{names} would both be the document {document!r}; rename one, or score them apart")

    @property
    def repeatable(self) -> bool:
        """Whether all inputs can be read more than once."""
        return all(source.repeatable for source in self.inputs)

    def items(self, ledger: IdLedger | None = None) -> Iterator[Item]:
        """All paragraphs, numbered. With a ledger, ids are checked to be unique.

        Raises:
            InputError: an input cannot be read, or an id is missing or seen twice.
        """
        records = ((source.document, record) for source in self.inputs for record in self._records(source))
        return number(records, self.options, ledger)

    def _records(self, source: Input) -> Iterator[Record]:
        name = "standard input" if source.standard else source.name
        if source.format is Format.PARQUET:
            yield from read_parquet(Path(source.name), name, self.options)
            return
        with _open(0 if source.standard else source.name, name) as stream:
            match source.format:
                case Format.TEXT:
                    yield from read_text(stream, name)
                case Format.JSONL:
                    yield from read_jsonl(stream, name, self.options)
                case Format.CSV:
                    yield from read_csv(stream, name, self.options)


def _open(file: str | int, name: str) -> BinaryIO:
    # Standard input has a stream of its own: the reader may be waiting for input when the process ends, and Python would not
    # let go of sys.stdin then.
    try:
        return io.BufferedReader(io.FileIO(file, closefd=not isinstance(file, int)))
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from None


def _input(name: str, options: SourceOptions) -> Input:
    if name == STANDARD_INPUT:
        if options.format is Format.PARQUET:
            raise InputError("Parquet cannot be read from standard input, as its index stands at the end; name a file")
        return Input(name, options.format or Format.TEXT, "stdin")
    path = Path(name)
    if path.is_dir():
        raise InputError(f"{name} is a directory; name the files in it, such as {name.rstrip('/')}/*.txt")
    if not path.exists():
        raise InputError(f"{name} does not exist")
    form = options.format or SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise InputError(f"{name}: the suffix {path.suffix!r} says nothing of its form; say it with --format")
    return Input(name, form, path.stem)
