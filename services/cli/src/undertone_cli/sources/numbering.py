"""From records to items: ids, documents and positions, and a word about texts that cannot be sent."""

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256

from undertone_client.jobs import InputError

from undertone_cli.sources.item import Item, Record
from undertone_cli.sources.ledger import IdLedger
from undertone_cli.sources.options import SourceOptions


def number(records: Iterable[tuple[str, Record]], options: SourceOptions, ledger: IdLedger | None) -> Iterator[Item]:
    """Number the records, each given with the document that it belongs to unless its own column names one.

    Raises:
        InputError: an id is missing, is neither string nor integer, or is in the ledger already.
    """
    positions: Counter[str] = Counter()
    by_column = options.id_column is not None
    for ordinal, (default, record) in enumerate(records):
        document = _name(record.document, "document", record.place) or default
        position = positions[document]
        positions[document] += 1
        ident = f"{document}/{position:04d}"
        # Text files have no columns; their paragraphs get ids of the default form beside those of the others.
        if by_column and not (record.id is None and record.columnless):
            ident = _name(record.id, "id", record.place)
            if not ident:
                raise InputError(f"{record.place}: no id in the column {options.id_column!r}; every paragraph needs one")
        if ledger is not None:
            ledger.add(ident, record.place)
        text, digest, problem = _text(record.text)
        yield Item(ordinal, ident, document, position, record.place, text, digest, problem)


def _name(value: object, what: str, place: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        if value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value):
            return value
        raise InputError(f"{place}: the {what} holds a lone surrogate, which is no character")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InputError(f"{place}: the {what} is a {type(value).__name__}; it must be a string or an integer")


def _text(value: object) -> tuple[str | None, str, str | None]:
    if not isinstance(value, str):
        kind = "null" if value is None else f"a {type(value).__name__}, not a string"
        return None, "", f"the text is {kind}"
    try:
        return value, sha256(value.encode()).hexdigest(), None
    except UnicodeEncodeError as error:
        return None, "", f"the text holds a lone surrogate at character {error.start}, which is no character"
