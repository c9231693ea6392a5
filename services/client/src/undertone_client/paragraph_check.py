"""Checks of the paragraphs that a caller passes in, before anything is sent."""

from collections.abc import AsyncIterable, Iterable
from typing import Any

from undertone_client.values import MAX_ID_CHARACTERS, Paragraph


def as_paragraph(value: Any, name: str = "paragraph") -> Paragraph:
    """The paragraph that a caller passed in.

    Args:
        value: a string or a `Paragraph`.
        name: name of the value in the error message, such as `paragraphs[3]`.

    Raises:
        TypeError: the value is neither, or the fields of the paragraph are not strings.
    """
    if isinstance(value, str):
        return Paragraph(value)
    if not isinstance(value, Paragraph):
        remedy = "; decode it first" if isinstance(value, bytes | bytearray | memoryview) else ""
        raise TypeError(f"{name} must be a str or a Paragraph, not {type(value).__name__}{remedy}")
    for field, content in (("text", value.text), ("id", value.id)):
        if not isinstance(content, str):
            raise TypeError(f"{name}.{field} must be a str, not {type(content).__name__}")
    return value


def as_paragraphs(values: Any) -> list[Paragraph]:
    """The paragraphs that a caller passed in.

    Raises:
        TypeError: `values` is not an iterable of strings and paragraphs, or is a single string.
    """
    if isinstance(values, str | bytes | bytearray | Paragraph) or not isinstance(values, Iterable):
        raise TypeError(
            f"paragraphs must be an iterable of str or Paragraph, not {type(values).__name__}; for one paragraph use classify()"
        )
    return [as_paragraph(value, f"paragraphs[{index}]") for index, value in enumerate(values)]


def check_source(source: Any) -> None:
    """Check that a stream can read its paragraphs from `source`.

    Raises:
        TypeError: `source` is not iterable, or is a single paragraph.
    """
    if isinstance(source, str | bytes | Paragraph) or not isinstance(source, Iterable | AsyncIterable):
        kind = type(source).__name__
        raise TypeError(f"score() takes an iterable of paragraphs, not {kind}; for one paragraph use classify()")


def rejection(paragraph: Paragraph) -> str | None:
    """Why the service cannot accept the paragraph under any limits; None if it can."""
    if len(paragraph.id) > MAX_ID_CHARACTERS:
        return f"id has {len(paragraph.id)} characters; the limit is {MAX_ID_CHARACTERS}: use a shorter id"
    for field, value in (("text", paragraph.text), ("id", paragraph.id)):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                return f"{field} is not valid Unicode: character {error.start} is a lone surrogate"
    return None
