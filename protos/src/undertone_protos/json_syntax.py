"""Explains errors of Python's JSON decoder in the terms of JSON."""

import json
from collections.abc import Mapping
from typing import Final

_PROBLEMS: Final[Mapping[str, str]] = {
    "Expecting value": "a value is expected, such as a string in double quotes or a number",
    "Expecting property name": "the name of a field in double quotes is expected",
    "Expecting ',' delimiter": "a comma or a closing bracket is expected",
    "Expecting ':' delimiter": "a colon is expected",
    "Illegal trailing comma": "the comma before a closing bracket must be removed",
    "Extra data": "there is more text after the end of the JSON",
    "Invalid control character": "a string has a line break or another control character: write it as an escape sequence",
    "Invalid \\": "an escape sequence is invalid: write a backslash as \\\\",
    "Unterminated string": "the string that starts here has no closing quote",
    "Unexpected UTF-8 BOM": "the text starts with a byte order mark: remove it",
}
"""The explanations of the beginnings of the decoder's messages."""

_END: Final = "the text ends here, but the JSON is incomplete"


def syntax_problem(error: json.JSONDecodeError) -> str:
    """What is wrong at the position of an error, and what is right. Quotes none of the text."""
    if error.msg.startswith("Expecting") and not error.doc[error.pos :].strip():
        return _END
    found = (problem for beginning, problem in _PROBLEMS.items() if error.msg.startswith(beginning))
    return next(found, "the JSON is invalid here")
