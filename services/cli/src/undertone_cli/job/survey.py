"""The first reading of the inputs: everything wrong with them is found before anything is sent."""

import io
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from undertone_client.jobs import InputError

from undertone_cli.sources import Catalogue, Format, Input
from undertone_cli.sources.ledger import IdLedger
from undertone_cli.sources.meter import Meter


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells whether an input is the same as last time. A pipe can be read only once: it has neither size nor hash."""

    name: str
    format: str
    document: str
    bytes: int | None
    sha256: str | None

    @classmethod
    def of(cls, source: Input, meter: Meter | None) -> Self:
        """The fingerprint of an input that a meter has measured, or of a pipe."""
        return cls(source.name, source.format, source.document, meter.bytes if meter else None, meter.sha256 if meter else None)

    @property
    def input(self) -> Input:
        """The input that it is of."""
        return Input(self.name, Format(self.format), self.document)


@dataclass(frozen=True, slots=True)
class Survey:
    """Fingerprints of the inputs, and their paragraphs in all; None where that cannot be known beforehand."""

    fingerprints: tuple[Fingerprint, ...]
    paragraphs: int | None


def survey(catalogue: Catalogue) -> Survey:
    """Read all files once: hash them, count the paragraphs, check syntax and ids.

    Reading twice costs little beside scoring, and an error in the last line does not come after a night's work. Pipes are left
    alone, and with them the count.

    Raises:
        InputError: an input cannot be read, or an id is missing or given twice.
    """
    meters: dict[str, Meter] = {}

    def measured(source: Input, stream: io.RawIOBase) -> Meter:
        meters[source.name] = Meter(stream)
        return meters[source.name]

    paragraphs = None
    if catalogue.repeatable:
        with ExitStack() as stack:
            ledger = stack.enter_context(IdLedger()) if catalogue.options.id_column is not None else None
            paragraphs = sum(1 for _ in catalogue.items(ledger, measured))
    for source in catalogue.inputs:
        if source.repeatable and source.name not in meters:  # read not at all beside a pipe, or here and there, as Parquet is
            _drain(source, measured(source, source.stream()))
    return Survey(tuple(Fingerprint.of(source, meters.get(source.name)) for source in catalogue.inputs), paragraphs)


def _drain(source: Input, meter: Meter) -> None:
    try:
        with meter:
            meter.drain()
    except OSError as error:
        raise InputError(f"{source.shown} cannot be read: {error.strerror or error}") from None
