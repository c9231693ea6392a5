"""A file of soft labels: the shares of the emotions of texts, as a teacher answered them.

The first line has the SHA-256 of the adapters of each teacher. Every other line has a text and its
shares. Answers of a large model take long, so the file grows with every few texts, and a command
that was ended continues.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from undertone_model.data import Dataset, Example
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import DataError

NAME: Final = "soft labels/train"
LICENSE: Final = "Apache-2.0 AND CC-BY-4.0"
"""Licences of the texts of our own, and of those of REMAN and XED."""

TEXTS_PER_WRITE: Final = 512

Answer = Callable[[Sequence[str]], NDArray[np.float64]]
"""Probabilities [texts, emotions] of texts."""


def load_soft_labels(path: Path) -> Dataset:
    """Reads all texts with their shares. Raises DataError."""
    content = _read(path)
    _, examples = _parse(path, content)
    if not examples:
        raise DataError(f"{path} contains no texts; write it with `undertone-model soft-labels`")
    return Dataset(NAME, LICENSE, hashlib.sha256(content).hexdigest(), examples)


def write_soft_labels(
    path: Path, teachers: Sequence[str], texts: Sequence[str], answer: Answer, report: Callable[[int], None]
) -> None:
    """Appends the answers for those of `texts` that are not in the file.

    `teachers` are the SHA-256 of their adapters. `report` receives the number of texts in the file
    after each write. Raises DataError if the file has answers of other teachers.
    """
    content = _read(path) if path.exists() else b""
    # A process that was ended may have written half a line.
    content = content[: content.rfind(b"\n") + 1]
    known, examples = _parse(path, content) if content else (list(teachers), ())
    if known != list(teachers):
        raise DataError(f"{path} has answers of other teachers; delete it, or use another --out")
    answered = {example.text for example in examples}
    missing = [text for text in texts if text not in answered]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if path.exists() else "xb") as file:
        file.truncate(len(content))
        file.seek(0, os.SEEK_END)
        if not content:
            file.write(_line({"teachers": list(teachers)}))
        for start in range(0, len(missing), TEXTS_PER_WRITE):
            asked = missing[start : start + TEXTS_PER_WRITE]
            for text, row in zip(asked, answer(asked), strict=True):
                file.write(_line({"text": text, "shares": [round(share, 4) for share in row.tolist()]}))
            file.flush()
            os.fsync(file.fileno())
            report(len(answered) + start + len(asked))


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None


def _parse(path: Path, content: bytes) -> tuple[list[str], tuple[Example, ...]]:
    """The teachers and the texts of a file. Raises DataError, with file and line."""
    teachers: list[str] = []
    examples = []
    # Only line feeds end a line; splitlines() also splits at other characters.
    for number, line in enumerate(content.decode(errors="replace").removesuffix("\n").split("\n"), 1):
        try:
            record = json.loads(line)
            if number == 1:
                teachers = [str(teacher) for teacher in record["teachers"]]
                continue
            shares = np.array(record["shares"], np.float64)
            if shares.shape != (len(EMOTIONS),) or not (shares >= 0).all() or not 0.9 < shares.sum() < 1.1:
                raise ValueError
            examples.append(Example(str(record["text"]), tuple((shares / shares.sum()).tolist())))
        except (ValueError, KeyError, TypeError):
            expected = "the teachers" if number == 1 else f"a text and its {len(EMOTIONS)} shares"
            raise DataError(f"{path}, line {number}: expected an object with {expected}") from None
    return teachers, tuple(examples)
