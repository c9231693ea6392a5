"""Suites of short texts of our own: negation, irony and names.

A text of negation or irony has an emotion that a literal reading finds ("She was not happy"), and
the emotions that a reader accepts. A text of the suite of names has a place for a name.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from undertone_model.evaluation.names import CULTURES

FOLDER: Final = Path(__file__).parents[1] / "artifacts" / "suites"
SUITES: Final = ("negation", "irony")


@dataclass(frozen=True, slots=True)
class SuiteText:
    """A text, the emotion of a literal reading, and the emotions that are accepted."""

    text: str
    literal: str
    accepted: frozenset[str]


@dataclass(frozen=True, slots=True)
class NameText:
    """A text with each name of CULTURES. All texts have the same emotion."""

    emotion: str
    texts: tuple[str, ...]


@cache
def load_suite(name: str) -> tuple[SuiteText, ...]:
    """The texts of one of SUITES."""
    return tuple(SuiteText(row["text"], row["literal"], frozenset(row["accepted"])) for row in _rows(name))


@cache
def load_names() -> tuple[NameText, ...]:
    """The texts of the suite of names, each with every name."""
    names = [name for culture in CULTURES.values() for name in culture]
    return tuple(NameText(row["emotion"], tuple(row["text"].format(name=name) for name in names)) for row in _rows("names"))


@cache
def load_flag_suites() -> dict[str, tuple[str, ...]]:
    """Texts that must have a flag, or are English and must not, by suite.

    - languages: fiction in 18 languages.
    - emojis, keyboard, html, code: texts that the model cannot read.
    - dialect, names, quotes, archaic: English that is easily taken for another language.
    """
    suites: dict[str, list[str]] = {"languages": [row["text"] for row in _rows("languages")]}
    for name in ("unreadable", "unusual-english"):
        for row in _rows(name):
            suites.setdefault(row["kind"], []).append(row["text"])
    return {name: tuple(texts) for name, texts in suites.items()}


def _rows(name: str) -> list[dict[str, Any]]:
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
