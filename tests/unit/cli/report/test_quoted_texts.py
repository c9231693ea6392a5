"""Texts on the page of a report: quoted only on request, escaped and truncated."""

import re
from pathlib import Path

import pytest
from undertone_cli.readers import Fingerprint, Format, ReadOptions
from undertone_cli.report.html import MAX_CHARACTERS
from undertone_client.jobs import InputError

from tests.unit.support.report_page import Document, html
from tests.unit.support.scored_folder import Point, ScoredFolder

HOSTILE = """<script>alert("x")</script>'"><img src=x onerror=alert(1)>{{ 7 * 7 }}"""


def test_text_is_quoted_only_on_request_and_if_unchanged(scored: ScoredFolder, point: Point, tmp_path: Path) -> None:
    texts = ["A secret the baker kept.", "The lamp went out.", "They danced till noon."]
    source = tmp_path / "tale.txt"
    source.write_text("\n\n".join(texts), encoding="utf-8")
    scored.sources = (Fingerprint(str(source), "text", "document", 1, "ab"), Fingerprint("-", "text", "document", None, None))
    for text, label in zip(texts, ("joy", "fear", "love"), strict=True):
        scored.add("tale", point(label), text=text)
    folder = scored.write()

    without = html(folder)
    assert not any(text in without for text in texts)
    assert "<blockquote>" not in without
    everything = html(folder, with_text=True)
    assert all(f"<blockquote>{text}</blockquote>" in everything for text in texts)
    assert "is missing" not in everything

    source.write_text("\n\n".join([texts[0], "The lamp was lit.", texts[2]]), encoding="utf-8")
    changed = html(folder, with_text=True)
    assert texts[0] in changed
    assert texts[1] not in changed
    assert "was lit" not in changed
    assert "The text of 1 paragraph is missing" in Document(changed).words

    source.unlink()
    with pytest.raises(InputError, match=r"the texts are missing: .*tale\.txt cannot be read: No such file"):
        html(folder, with_text=True)


def test_text_comes_from_the_columns_of_the_run(scored: ScoredFolder, point: Point, tmp_path: Path) -> None:
    source = tmp_path / "reviews.data"
    source.write_text("key,review\n7,The soup was warm and so was she.\n", encoding="utf-8")
    scored.sources = (Fingerprint(str(source), "csv", "document", 1, "ab"),)
    scored.options = ReadOptions(format=Format.CSV, text_column="review", id_column="key")
    scored.add("reviews", point("love"), text="The soup was warm and so was she.", ident="7")
    assert "<blockquote>The soup was warm and so was she.</blockquote>" in html(scored.write(), with_text=True)


def test_data_is_escaped(scored: ScoredFolder, point: Point, tmp_path: Path) -> None:
    source = tmp_path / "hostile.txt"
    source.write_text(HOSTILE, encoding="utf-8")
    scored.labels = [HOSTILE, "joy", "neutral"]
    scored.sources = (Fingerprint(str(source), "text", "document", 1, "ab"),)
    for name in (HOSTILE, "b"):
        scored.add(name, [0.8, 0.1, 0.1], text=HOSTILE, ident=f"{name}{HOSTILE}")
    scored.fail(HOSTILE, HOSTILE, HOSTILE)
    page = html(scored.write(), with_text=True)
    document = Document(page)
    assert document.count("script") == 2
    assert document.count("img") == 0
    assert "{{ 7 * 7 }}" in document.words
    assert page.count("<blockquote>&lt;script&gt;") == 6


def test_long_quotes_are_truncated(scored: ScoredFolder, point: Point, tmp_path: Path) -> None:
    source = tmp_path / "long.txt"
    text = "word " * 1000
    source.write_text(text, encoding="utf-8")
    scored.sources = (Fingerprint(str(source), "text", "document", 1, "ab"),)
    scored.add("long", point("joy"), text=text.strip())
    quote = re.search("<blockquote>(.*?)</blockquote>", html(scored.write(), with_text=True), re.DOTALL)
    assert quote
    assert quote[1].endswith("…")
    assert len(quote[1]) <= MAX_CHARACTERS
