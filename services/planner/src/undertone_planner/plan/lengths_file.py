"""Reads the lengths of paragraphs: from a histogram, or from the texts themselves."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from undertone_planner.errors import LengthsError
from undertone_planner.plan.lengths import SPECIAL_TOKENS, Lengths

CHARACTERS_PER_TOKEN: Final = 4.1
"""Of English fiction with the tokenizer of the packaged model."""

_FORMATS: Final = 'CSV with the header tokens,count, or JSON such as {"120": 5000, "340": 250}'

TokenCounter = Callable[[str], int]
"""The number of tokens of a text, special tokens included."""


def estimated_tokens(text: str) -> int:
    """Tokens of an English text, special tokens included, estimated from its characters."""
    return max(1, round(len(text) / CHARACTERS_PER_TOKEN)) + SPECIAL_TOKENS


def tokenizer_counter(path: Path) -> TokenCounter:
    """Counts exactly, with the tokenizer.json of a model.

    Raises:
        LengthsError: The file is not a tokenizer, or the package tokenizers is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise LengthsError(
            "--tokenizer needs the package tokenizers: pip install 'undertone-planner[tokenizer]', or omit --tokenizer to "
            f"estimate {CHARACTERS_PER_TOKEN} characters a token"
        ) from None
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises the base class
        raise LengthsError(f"--tokenizer {path}: not a tokenizer ({error}): use the tokenizer.json of an export") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text).ids)


def measure_lengths(texts: Iterable[str], count_tokens: TokenCounter = estimated_tokens) -> Lengths:
    """The lengths of these texts.

    Raises:
        LengthsError: There is no text.
    """
    histogram = Counter(map(count_tokens, texts))
    if not histogram:
        raise LengthsError("the inputs have no paragraphs to score: check --min-characters and --text-column")
    return Lengths.of(histogram)


def read_lengths(path: Path) -> Lengths:
    """Read a histogram from CSV or JSON.

    Raises:
        LengthsError: The file cannot be read, or it has an invalid row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LengthsError(f"--lengths {path} cannot be read ({error}): use {_FORMATS}") from None
    rows = _json_rows(path, text) if text.lstrip()[:1] in ("{", "[") else _csv_rows(path, text)
    histogram: Counter[int] = Counter()
    for place, tokens, count in rows:
        length, paragraphs = _integer(tokens), _integer(count)
        if length is None or length < 1 or paragraphs is None or paragraphs < 0:
            raise LengthsError(
                f"--lengths {path}, {place}: tokens {tokens!r}, count {count!r}: use integers, tokens of at least 1 and a "
                "count of at least 0"
            )
        histogram[length] += paragraphs
    if not histogram.total():
        raise LengthsError(f"--lengths {path} has no paragraphs: use {_FORMATS}")
    return Lengths.of(histogram)


def _json_rows(path: Path, text: str) -> list[tuple[str, Any, Any]]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise LengthsError(f"--lengths {path} is not JSON ({error}): use {_FORMATS}") from None
    if isinstance(document, dict):
        return [(f"key {tokens}", tokens, count) for tokens, count in document.items()]
    rows = []
    for index, row in enumerate(document):
        if isinstance(row, dict) and {"tokens", "count"} <= row.keys():
            rows.append((f"entry {index}", row["tokens"], row["count"]))
        elif isinstance(row, list) and len(row) == 2:
            rows.append((f"entry {index}", row[0], row[1]))
        else:
            raise LengthsError(f"--lengths {path}, entry {index} is not a pair of tokens and count: use {_FORMATS}")
    return rows


def _csv_rows(path: Path, text: str) -> list[tuple[str, Any, Any]]:
    reader = csv.DictReader(text.splitlines())
    if not {"tokens", "count"} <= set(reader.fieldnames or ()):
        raise LengthsError(f"--lengths {path} has no columns tokens and count: use {_FORMATS}")
    return [(f"line {reader.line_num}", row["tokens"], row["count"]) for row in reader]


def _integer(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if value.strip().isdecimal() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
