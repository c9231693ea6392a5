"""ISEAR: students' reports of situations in which they felt an emotion (Scherer and Wallbott, 1994;
CC BY-NC-SA 3.0).

The Swiss Center for Affective Sciences publishes a database in the format of Access. The reader
takes isear.csv of the repository sinmaniphel/py_isear_dataset, which has its columns, separated by
vertical bars. EMOT is the number of the emotion, and SIT is the report.
"""

import csv
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Final

from undertone_model.corpora.rows import read_text
from undertone_model.errors import DataError

MAPPING: Final = {
    "joy": "joy",
    "fear": "fear",
    "anger": "anger",
    "sadness": "sadness",
    "disgust": "disgust",
    # As embarrassment and remorse of GoEmotions.
    "shame": "sadness",
    "guilt": "sadness",
}

NUMBERS: Final = {str(number): name for number, name in enumerate(MAPPING, 1)}

_NO_REPORT: Final = re.compile(r"\[\s*(no|not|never|none|same|can ?not|do not)\b.*", re.IGNORECASE | re.DOTALL)
"""Answers such as "[ No response.]" and "[ Same as in anger.]"."""

_LINE_BREAK: Final = re.compile(r"\s+á(?=\s|$)")
"""The conversion of the database wrote each line break in a report as this letter and a space."""


def read(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The rows with a report, of a .csv file with a header."""
    rows = csv.DictReader(StringIO(read_text(path, "the columns of ISEAR"), newline=""), delimiter="|")
    if not {"EMOT", "SIT"} <= set(rows.fieldnames or ()):
        raise DataError(f"{path}, line 1: the header is invalid; expected the columns EMOT and SIT, separated by vertical bars")
    for row in rows:
        if (emotion := NUMBERS.get(row["EMOT"] or "")) is None:
            raise DataError(f"{path}, line {rows.line_num}: EMOT is {row['EMOT']!r}; expected 1 to {len(NUMBERS)}")
        report = " ".join(_LINE_BREAK.sub("", row["SIT"] or "").split())
        if report and not _NO_REPORT.fullmatch(report):
            yield report, [emotion]
