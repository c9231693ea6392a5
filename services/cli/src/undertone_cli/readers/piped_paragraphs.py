"""Paragraphs that are piped into a command: blocks between blank lines, or single lines."""

import io
from collections.abc import Iterator
from typing import Any

from undertone_client.values import Paragraph

from undertone_cli.readers.bad_lines import BadLine
from undertone_cli.readers.compression import DecompressedStream
from undertone_cli.readers.encoding import STDIN_NAME
from undertone_cli.readers.formats import ReadOptions
from undertone_cli.readers.inputs import BUFFER_BYTES
from undertone_cli.readers.lines import read_lines
from undertone_cli.readers.plain_text import read_text


def piped_paragraphs(stream: Any, *, lines: bool) -> Iterator[Paragraph]:
    """The paragraphs of standard input, with the ids of `undertone score -`, such as `stdin/0000`.

    Args:
        stream: a binary file. It may be compressed.
        lines: whether each line is a paragraph. Blank lines are none.

    Raises:
        InputError: a line is not UTF-8 text, or too long.
    """
    content = io.BufferedReader(DecompressedStream(stream), BUFFER_BYTES)
    texts = _lines(content) if lines else (str(record.text) for record in read_text(content, STDIN_NAME, ReadOptions(), _fail))
    return (Paragraph(text, f"stdin/{position:04d}") for position, text in enumerate(texts))


def _lines(content: "io.BufferedReader[Any]") -> Iterator[str]:
    for _, line in read_lines(content, STDIN_NAME):
        if isinstance(line, BadLine):
            _fail(line)
        elif text := line.strip():
            yield text


def _fail(line: BadLine) -> None:
    raise line.error(STDIN_NAME)
