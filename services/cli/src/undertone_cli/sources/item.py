"""A paragraph as a source gives it: first the raw record, then the item with its id and place in the table."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Record:
    """What stands in an input. `text` is as found, of whatever type; `place` says where, for people.

    `columnless` records come from plain text, which has no ids of its own.
    """

    place: str
    text: object = field(repr=False)
    id: object = None
    document: object = None
    columnless: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A numbered paragraph.

    `ordinal` counts through all inputs, `position` through the document, both from 0. `text` is None where there is none to
    send; `problem` then says why. `text_sha256` is lowercase hex, empty without a text.
    """

    ordinal: int
    id: str
    document: str
    position: int
    place: str
    text: str | None = field(repr=False)
    text_sha256: str
    problem: str | None = None
