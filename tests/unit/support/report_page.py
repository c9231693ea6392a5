"""A report as a reader gets it: its elements, its words, and the data of its charts."""

import base64
import json
import re
from array import array
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from undertone_cli.report import write_report


def html(folder: Path, **options: Any) -> str:
    """The page of the report of a run folder."""
    return write_report(folder, folder / "page.html", **options).read_text(encoding="utf-8")


class Document(HTMLParser):
    """Collects elements and text, and checks that every element that opens also closes."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "input"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def count(self, tag: str, **attributes: str) -> int:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return sum(tag == name and wanted.items() <= found.items() for name, found in self.elements)


class Charts:
    """The data of the charts of a page."""

    def __init__(self, html: str) -> None:
        found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
        assert found
        self.document: dict[str, Any] = json.loads(found[1])

    @property
    def stories(self) -> list[dict[str, Any]]:
        stories: list[dict[str, Any]] = self.document["stories"]
        return stories

    def integers(self, name: str) -> list[int]:
        return _decoded(self.document["columns"][name], "H" if name == "leading" else "I")

    def probabilities(self, name: str) -> list[float]:
        return [value / self.document["scale"] for value in _decoded(self.document["columns"][name], "H")]

    def valence(self) -> list[float]:
        return [value - 1 for value in self.probabilities("valence")]

    def rows(self, name: str) -> list[list[float]]:
        """`means` or `maxima`: the columns of the labels in charts."""
        return [[value / self.document["scale"] for value in _decoded(each, "H")] for each in self.document["columns"][name]]


def _decoded(text: str, kind: str) -> list[int]:
    return list(array(kind, base64.b64decode(text)))
