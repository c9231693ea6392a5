"""The inputs of a run: what they are, and their paragraphs one after the other."""

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

from undertone_client.jobs import InputError

from undertone_cli.sources.csv_rows import read_csv
from undertone_cli.sources.expansion import expand
from undertone_cli.sources.input import Input
from undertone_cli.sources.item import Item, Record
from undertone_cli.sources.jsonl import read_jsonl
from undertone_cli.sources.ledger import IdLedger
from undertone_cli.sources.numbering import number
from undertone_cli.sources.options import Format, SourceOptions
from undertone_cli.sources.parquet import read_parquet
from undertone_cli.sources.text import read_text

Through = Callable[[Input, io.RawIOBase], io.RawIOBase]


def _as_it_is(source: Input, stream: io.RawIOBase) -> io.RawIOBase:
    return stream


class Catalogue:
    """Several inputs, read in the order given. `skipped` names files in folders that were left out, their form unknown.

    Raises:
        InputError: two inputs would make the same ids.
    """

    def __init__(self, inputs: Iterable[Input], options: SourceOptions, *, skipped: Iterable[str] = ()) -> None:
        self.options = options
        self.inputs = tuple(inputs)
        self.skipped = tuple(skipped)
        by_document: defaultdict[str, list[Input]] = defaultdict(list)
        for source in self.inputs:
            if options.document_column is not None and source.format is not Format.TEXT:
                continue
            by_document[source.document].append(source)
        for document, sources in by_document.items():
            if len(sources) > 1:
                names = " and ".join(source.shown for source in sources)
                raise InputError(f"{names} would both be the document {document!r}; rename one, or score them apart")

    @classmethod
    def of(cls, names: Iterable[str], options: SourceOptions, *, exclude: Path | None = None) -> Self:
        """The inputs that `names` stand for: files, folders, patterns, addresses of object stores; `-` is standard input.

        Raises:
            InputError: one does not exist or has no known form, or two would make the same ids.
        """
        expansions = [expand(name, options.format, exclude) for name in names]
        inputs = [source for expansion in expansions for source in expansion.inputs]
        return cls(inputs, options, skipped=[name for expansion in expansions for name in expansion.skipped])

    @property
    def repeatable(self) -> bool:
        """Whether all inputs can be read more than once."""
        return all(source.repeatable for source in self.inputs)

    def items(self, ledger: IdLedger | None = None, through: Through = _as_it_is) -> Iterator[Item]:
        """All paragraphs, numbered. With a ledger, ids are checked to be unique. Streams are read `through` a filter.

        Raises:
            InputError: an input cannot be read, or an id is missing or seen twice.
        """
        records = ((source.document, record) for source in self.inputs for record in self._records(source, through))
        return number(records, self.options, ledger)

    def _records(self, source: Input, through: Through) -> Iterator[Record]:
        if source.format is Format.PARQUET:
            yield from read_parquet(source.file(), source.shown, self.options)
            return
        with io.BufferedReader(through(source, source.stream())) as stream:
            match source.format:
                case Format.TEXT:
                    yield from read_text(stream, source.shown)
                case Format.JSONL:
                    yield from read_jsonl(stream, source.shown, self.options)
                case Format.CSV:
                    yield from read_csv(stream, source.shown, self.options)
