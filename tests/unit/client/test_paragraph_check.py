"""What callers pass in by mistake: wrong types, long ids, invalid Unicode."""

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from undertone_client import MAX_ID_CHARACTERS, Client, Failure, InvalidParagraphError, Paragraph, Score
from undertone_client.testing import FakeClassifier

INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
async def client(service: FakeClassifier) -> Any:
    async with Client(service.target) as opened:
        yield opened


@pytest.mark.parametrize(
    ("paragraphs", "message"),
    [
        ([5], r"paragraphs\[0\] must be a str or a Paragraph, not int"),
        (["fine", None], r"paragraphs\[1\] must be a str or a Paragraph, not NoneType"),
        (["fine", b"bytes"], r"paragraphs\[1\] must be a str or a Paragraph, not bytes; decode it first"),
        ([("text", "id")], r"paragraphs\[0\] must be a str or a Paragraph, not tuple"),
        ([Paragraph(5)], r"paragraphs\[0\]\.text must be a str, not int"),  # type: ignore[arg-type]
        ([Paragraph("x", 7)], r"paragraphs\[0\]\.id must be a str, not int"),  # type: ignore[arg-type]
        (None, "paragraphs must be an iterable of str or Paragraph, not NoneType"),
        ("one string", "not str; for one paragraph use classify"),
        (b"bytes", "not bytes"),
        (7, "not int"),
    ],
)
async def test_wrong_types_are_named_and_nothing_is_sent(
    client: Client, service: FakeClassifier, paragraphs: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        await client.classify_batch(paragraphs)
    assert service.calls == []


@pytest.mark.parametrize("text", [5, None, b"bytes", ["x"]])
async def test_classify_names_the_wrong_type(client: Client, service: FakeClassifier, text: Any) -> None:
    with pytest.raises(TypeError, match=f"text must be a str or a Paragraph, not {type(text).__name__}"):
        await client.classify(text)
    assert service.calls == []


@pytest.mark.parametrize("source", [None, 7, b"bytes", Paragraph("x")])
async def test_score_names_a_source_that_is_not_a_collection(client: Client, source: Any) -> None:
    with pytest.raises(TypeError, match=f"score\\(\\) takes an iterable of paragraphs, not {type(source).__name__}"):
        await anext(client.score(source))


async def test_generators_and_numpy_strings_are_scored(client: Client) -> None:
    def generate() -> Iterator[str]:
        yield from ("one", "two")

    for paragraphs in (generate(), np.array(["one", "two"]), ("one", "two"), {"one": 1, "two": 2}):
        outcomes = await client.classify_batch(paragraphs)
        assert [isinstance(outcome, Score) for outcome in outcomes] == [True, True]
    assert isinstance(await client.classify(np.str_("one")), Score)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Paragraph("same", "x" * (MAX_ID_CHARACTERS + 1)), "id has 257 characters; the limit is 256: use a shorter id"),
        (Paragraph("x\ud800"), "text is not valid Unicode: character 1 is a lone surrogate"),
        (Paragraph("x", "\udcff"), "id is not valid Unicode: character 0 is a lone surrogate"),
    ],
)
async def test_a_paragraph_that_no_service_accepts_fails_alone_and_is_not_sent(
    client: Client, service: FakeClassifier, bad: Paragraph, reason: str
) -> None:
    good = Paragraph("same", "x" * MAX_ID_CHARACTERS)
    first, failure, last = await client.classify_batch([good, bad, "other"])
    assert isinstance(first, Score)
    assert isinstance(last, Score)
    assert failure == Failure(bad, INVALID, reason, attempts=0)
    streamed = [outcome async for outcome in client.score([good, bad])]
    assert [type(outcome) for outcome in streamed] == [Score, Failure]
    with pytest.raises(InvalidParagraphError, match=reason):
        await client.classify(bad)
    assert sorted(service.paragraphs()) == ["other", "same", "same"]
    assert client.state().counts.failed_paragraphs == {"INVALID_ARGUMENT": 3}


async def test_a_batch_without_valid_paragraphs_makes_no_call(client: Client, service: FakeClassifier) -> None:
    (failure,) = await client.classify_batch([Paragraph("x", "y" * 5_000_000)])
    assert isinstance(failure, Failure)
    assert (failure.attempts, service.calls) == (0, [])
