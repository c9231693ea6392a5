"""The first reading of the inputs: everything wrong with them is found before anything is sent."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from undertone_client.errors import InputError
from undertone_client.sources import Catalogue, Input
from undertone_client.sources.ledger import IdLedger


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells whether an input is the same as last time. A pipe can be read only once: it has neither size nor hash."""

    name: str
    format: str
    bytes: int | None
    sha256: str | None


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
    fingerprints = tuple(_fingerprint(source) for source in catalogue.inputs)
    if not catalogue.repeatable:
        return Survey(fingerprints, None)
    if catalogue.options.id_column is None:
        return Survey(fingerprints, sum(1 for _ in catalogue.items()))
    with IdLedger() as ledger:
        return Survey(fingerprints, sum(1 for _ in catalogue.items(ledger)))


def _fingerprint(source: Input) -> Fingerprint:
    if not source.repeatable:
        return Fingerprint(source.name, source.format, None, None)
    path = Path(source.name)
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return Fingerprint(source.name, source.format, stream.tell(), digest)
    except OSError as error:
        raise InputError(f"{source.name} cannot be read: {error.strerror or error}") from None
