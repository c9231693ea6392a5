"""Paragraphs whose text is with the service: each text once, however many paragraphs have it."""

import asyncio
from dataclasses import dataclass, field, replace

from undertone_cli.job.part import Part
from undertone_cli.sources import Item

MOST_WAITING = 10_000
"""Paragraphs that may wait for another of the same text. Beyond, no more of the input is read until some are answered."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an outcome belongs."""

    part: Part
    item: Item


@dataclass(slots=True)
class _Asked:
    text_sha256: str
    places: list[Place] = field(default_factory=list)


class Awaited:
    """Who waits for which text. The first paragraph of a text is sent, and speaks for the others."""

    def __init__(self) -> None:
        self._by_id: dict[str, _Asked] = {}
        self._by_hash: dict[str, _Asked] = {}
        self._waiting = 0
        self._room = asyncio.Event()

    def add(self, part: Part, item: Item) -> bool:
        """Let a paragraph wait. Returns whether it is to be sent; if not, its text is on its way already."""
        asked = self._by_hash.get(item.text_sha256)
        if asked is None:
            asked = self._by_id[item.id] = self._by_hash[item.text_sha256] = _Asked(item.text_sha256)
            asked.places.append(Place(part, item))
            return True
        asked.places.append(Place(part, replace(item, text=None)))  # the text would be held once more
        self._waiting += 1
        return False

    async def room(self) -> None:
        """Wait until no more than MOST_WAITING paragraphs wait for the text of another."""
        while self._waiting > MOST_WAITING:
            self._room.clear()
            await self._room.wait()

    def answered(self, ident: str) -> list[Place]:
        """The places of all paragraphs with the text of the one that was sent under this id; the first is its own."""
        asked = self._by_id.pop(ident)
        del self._by_hash[asked.text_sha256]
        self._waiting -= len(asked.places) - 1
        self._room.set()
        return asked.places
