"""Reads JSON Lines and JSON arrays of objects."""

import codecs
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from undertone_client.jobs import InputError
from undertone_protos.json_syntax import syntax_problem

from undertone_cli.readers.bad_lines import BadLine, OnBadLine
from undertone_cli.readers.columns import check_columns
from undertone_cli.readers.encoding import SAMPLE_BYTES, describe_encoding
from undertone_cli.readers.formats import ReadOptions
from undertone_cli.readers.lines import BYTE_ORDER_MARK, check_signature, read_lines
from undertone_cli.readers.raw_record import RawRecord, json_kind

MAX_ELEMENT_CHARACTERS = 64 * 1024 * 1024
"""Maximum length of an element of an array. Bounds the memory for a damaged file."""
CHUNK_BYTES = 64 * 1024
_WHITE_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def read_json(stream: "io.BufferedReader[Any]", name: str, options: ReadOptions, on_bad_line: OnBadLine) -> Iterator[RawRecord]:
    """A record for each object of JSON Lines or of an array, whose first character is `[`.

    A field that is missing after the first record is null.

    Raises:
        InputError: a line or an element is not a JSON object or has a field twice, an array is
            damaged, or the first record lacks a column.
    """
    objects = _elements(stream, name) if _starts_array(stream, name) else _lines(stream, name)
    checked = False
    spellings = [
        {json.dumps(column), json.dumps(column, ensure_ascii=False)} for column in options.columns if column is not None
    ]
    for found in objects:
        row = found.value
        if isinstance(row, dict) and any(sum(map(found.text.count, keys)) > 1 for keys in spellings):
            row = _repeated_field(found, options) or row
        if isinstance(row, BadLine):
            on_bad_line(row)
            continue
        location = f"{name}, {found.location}"
        if not checked:
            check_columns(row.keys(), location, options)
            checked = True
        text, ident, document, *kept = (None if column is None else row.get(column) for column in options.columns)
        missing = options.text_column if options.text_column not in row else None
        yield RawRecord(location, text, ident, document, kept=tuple(kept), missing=missing)


@dataclass(frozen=True, slots=True)
class _Found:
    """A line or an element: its text, and its object or what is wrong with it."""

    line: int
    location: str
    text: str = field(repr=False)
    value: dict[str, object] | BadLine = field(repr=False)


def _starts_array(stream: "io.BufferedReader[Any]", name: str) -> bool:
    try:
        check_signature(stream, name)
        # White space before an array is short. Longer white space reads as empty lines.
        return stream.peek(1).removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"[")
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from None


def _lines(stream: "io.BufferedReader[Any]", name: str) -> Iterator[_Found]:
    for number, line in read_lines(stream, name):
        if isinstance(line, BadLine):
            yield _Found(number, f"line {number}", "", line)
        elif line.strip():
            yield _Found(number, f"line {number}", line, _parsed_line(line, number))


def _parsed_line(line: str, number: int) -> dict[str, object] | BadLine:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        reason = f"not valid JSON in column {error.colno} ({syntax_problem(error)})"
        return BadLine(number, reason, lambda: "each line must be one JSON object, or the file an array of objects")
    except (ValueError, RecursionError) as error:
        return BadLine(number, _number_or_depth(error))
    if isinstance(row, dict):
        return row
    return BadLine(number, f"the line is {json_kind(row)}, not a JSON object", lambda: "write one JSON object in each line")


def _number_or_depth(error: Exception) -> str:
    """The reason for a number with too many digits, or for a deep nesting."""
    return "the JSON is nested too deeply" if isinstance(error, RecursionError) else "an integer has too many digits"


def _repeated_field(found: _Found, options: ReadOptions) -> BadLine | None:
    """What is wrong if an object has a named field twice. Python takes the last one in silence."""
    fields: list[str] = []

    def keep_names(pairs: list[tuple[str, object]]) -> None:
        fields[:] = [name for name, _ in pairs]  # the outermost object is the last

    json.loads(found.text, object_pairs_hook=keep_names)
    for column in options.columns:
        if column is not None and (count := fields.count(column)) > 1:
            return BadLine(found.line, f"the object has {count} fields {column!r}", lambda: "give it one")
    return None


def _elements(stream: "io.BufferedReader[Any]", name: str) -> Iterator[_Found]:
    """The elements of an array.

    Raises:
        InputError: the array is damaged. The rest of a damaged array has no boundaries.
    """
    text = _ArrayText(stream, name)
    text.skip("[")
    number = 0
    while text.next_character() != "]" or number:
        number += 1
        line = text.line
        raw, value = text.value()
        location = f"line {line}, element {number}"
        if isinstance(value, dict):
            yield _Found(line, location, raw, value)
        else:
            reason = f"the element {number} is {json_kind(value)}, not a JSON object"
            yield _Found(line, location, "", BadLine(line, reason, lambda: "write an array of objects"))
        if text.next_character() == "]":
            break
        text.skip(",")
    text.skip("]")
    if text.next_character():
        raise text.error("the array is followed by other content; write one array, or one JSON object in each line")


class _ArrayText:
    """The text of an array, of which only the current element is in memory."""

    def __init__(self, stream: "io.BufferedReader[Any]", name: str) -> None:
        self._stream = stream
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._position = 0
        self._ended = False
        self.line = 1

    def error(self, problem: str) -> InputError:
        """An error at the current position."""
        return InputError(f"{self._name}, line {self.line}: {problem}")

    def next_character(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            space = _WHITE_SPACE.match(self._text, self._position)
            self._advance(space.end() if space else self._position)
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._fill(1):
                return ""

    def skip(self, character: str) -> None:
        """Skip one character.

        Raises:
            InputError: the next character is another one.
        """
        found = self.next_character()
        if found != character:
            problem = "the array has no end: the file was cut off" if not found else f"{character!r} is missing in the array"
            raise self.error(f"not valid JSON ({problem})")
        self._advance(self._position + 1)

    def value(self) -> tuple[str, object]:
        """The next element: its text and its value.

        Raises:
            InputError: it is not valid JSON, or too long.
        """
        self.next_character()
        size = CHUNK_BYTES
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                problem = syntax_problem(error)
            except (ValueError, RecursionError) as error:
                raise self.error(_number_or_depth(error)) from None
            else:
                if end < len(self._text) or not self._fill(1):  # the digits of a number may go on
                    raw = self._text[self._position : end]
                    self._advance(end)
                    return raw, value
                continue
            # The element may be incomplete. Twice the text for each attempt keeps the cost linear.
            size *= 2
            if size > 2 * MAX_ELEMENT_CHARACTERS:
                raise self.error(f"not valid JSON ({problem}), or an element of more than {MAX_ELEMENT_CHARACTERS} characters")
            if not self._fill(size):
                raise self.error(f"not valid JSON ({problem}) in the element that starts here")

    def _advance(self, position: int) -> None:
        self.line += self._text.count("\n", self._position, position)
        self._position = position

    def _fill(self, size: int) -> bool:
        """Read until `size` characters follow the position. False if there were none to read."""
        before = len(self._text) - self._position
        pieces = [self._text[self._position :]]
        length = before
        while not self._ended and length < max(size, before + 1):
            pieces.append(self._read())
            length += len(pieces[-1])
        self._text, self._position = "".join(pieces), 0
        return length > before

    def _read(self) -> str:
        try:
            data = self._stream.read1(CHUNK_BYTES)
            self._ended = not data
            return self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            byte, sample = error.object[error.start], error.object[:SAMPLE_BYTES]
            raise self.error(f"byte 0x{byte:02x} after it is not UTF-8; {describe_encoding(sample, self._name)}") from None
        except OSError as error:
            raise InputError(f"{self._name}, after line {self.line}: {error.strerror or error}") from None
