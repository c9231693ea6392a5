"""Reading in a thread."""

from collections.abc import Iterator

import pytest
from undertone_cli.readers import read_ahead
from undertone_cli.readers.read_ahead import MAX_ITEMS, MAX_WEIGHT


async def test_buffer_is_bounded_and_errors_are_raised() -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for _ in range(2000):
            taken += 1
            yield taken
        raise LookupError("damaged page")

    async with read_ahead(source()) as paragraphs:
        for expected in range(1, 2001):
            assert await anext(paragraphs) == expected
            assert taken - expected <= 2 * MAX_ITEMS
        with pytest.raises(LookupError, match="damaged page"):
            await anext(paragraphs)


async def test_buffer_of_long_texts_is_bounded_by_weight() -> None:
    taken = 0

    def source() -> Iterator[str]:
        nonlocal taken
        for _ in range(50):
            taken += 1
            yield "x" * (MAX_WEIGHT // 2)

    async with read_ahead(source(), len) as paragraphs:
        for number in range(1, 51):
            await anext(paragraphs)
            assert taken - number <= 6
