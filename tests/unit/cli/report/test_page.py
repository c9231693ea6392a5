"""The page as a reader gets it: complete, self-contained, safe, and true to the scores."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ET  # only ever parses what the test has just written
from html.parser import HTMLParser
from itertools import accumulate
from pathlib import Path

import pytest
from undertone_cli.readers import Fingerprint, Format, ReadOptions
from undertone_cli.report import write_report
from undertone_cli.report.charts import HEADROOM, PITCH
from undertone_cli.report.html import MAX_CHARACTERS
from undertone_cli.report.page import MAX_ARCS, MAX_SHOWN, MAX_STORIES
from undertone_client.jobs import InputError

from tests.unit.support.scored_folder import Point, ScoredFolder

HOSTILE = """<script>alert("x")</script>'"><img src=x onerror=alert(1)>{{ 7 * 7 }}"""


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
        if tag != "meta":
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


@pytest.fixture
def story(scored: ScoredFolder, point: Point) -> ScoredFolder:
    """Two stories: one of joy and fear with a gap, one of sadness; and two kinds of failure."""
    for position, label in enumerate(["joy", "joy", "fear", "fear", "fear"]):
        scored.add("the-ninth-stair", point(label, 0.5 + position / 10), position=position + (position > 1))
    for _ in range(3):
        scored.add("lost-property", point("sadness", 0.7))
    scored.fail("x/0001", "UNAVAILABLE", "connection refused")
    scored.fail("x/0002", "UNAVAILABLE", "connection refused")
    scored.fail("x/0003", "INVALID_ARGUMENT", "the paragraph is empty")
    return scored


def html(folder: Path, **options: bool) -> str:
    return write_report(folder, folder / "page.html", **options).read_text(encoding="utf-8")


def test_page_loads_nothing(story: ScoredFolder) -> None:
    page = html(story.write())
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page, re.IGNORECASE)
    for tag, attributes in Document(page).elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert not {"src", "srcset", "style", "action", "data"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith("#")


def test_content_security_policy_allows_only_the_pages_style_and_script(story: ScoredFolder) -> None:
    page = html(story.write())
    policy = next(found["content"] or "" for _, found in Document(page).elements if "http-equiv" in found)
    for tag in ("style", "script"):
        content = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert content
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_links_have_targets_and_ids_are_unique(story: ScoredFolder) -> None:
    elements = Document(html(story.write())).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"] for tag, attributes in elements if tag == "a"} <= {f"#{ident}" for ident in ids}
    assert {attributes["aria-labelledby"] for _, attributes in elements if "aria-labelledby" in attributes} <= set(ids)


def test_charts_are_well_formed_and_within_their_frames(story: ScoredFolder) -> None:
    charts = re.findall(r"<svg.*?</svg>", html(story.write()), re.DOTALL)
    assert charts
    for chart in charts:
        root = ET.fromstring(chart)  # noqa: S314
        width = float(root.attrib["viewBox"].split()[2])
        for rect in root.iter("rect"):
            assert 0 <= float(rect.get("x", 0)) <= float(rect.get("x", 0)) + float(rect.attrib["width"]) <= width


def test_numbers_match_the_scores(story: ScoredFolder) -> None:
    words = Document(html(story.write())).words
    assert "2 stories, 8 paragraphs" in words
    assert "Fear leads in 38% of the paragraphs, followed by sadness (38%) and joy (25%)." in words
    mean = sum(row.score.probabilities[3] for row in story.rows) / 8
    assert f"fear 3 38% {mean:.0%}" in words
    assert re.search(r"the highest peak is (8[0-9])%", words)
    tokens = sum(row.score.tokens for row in story.rows)
    assert f"Paragraphs scored 8 Failed 3 Tokens {tokens} Paragraphs per second 4 Duration 2.0 s" in words
    assert "Model emotions, version 1, single-label Precision fp32 Long paragraphs chunk-mean" in words
    assert "UNAVAILABLE 2 connection refused x/0001 , x/0002" in words
    assert "INVALID_ARGUMENT 1 the paragraph is empty x/0003" in words


def test_strip_shows_every_scored_paragraph(story: ScoredFolder) -> None:
    page = html(story.write())
    titles = re.findall(r"<title>(Paragraph[^<]*)</title>", page)
    assert titles[:3] == [f"Paragraph {n}: sadness 70%, joy 4%, love 4%" for n in (1, 2, 3)]
    assert [title.split(":")[0] for title in titles[3:]] == [f"Paragraph {n}" for n in (1, 2, 4, 5, 6)]
    assert titles[-1].startswith("Paragraph 6: fear 90%")


def test_strongest_paragraphs_are_sorted_and_linked(story: ScoredFolder) -> None:
    words = Document(html(story.write())).words
    fear = words[words.index("Strongest paragraphs The paragraphs") :]
    fear = fear[fear.index("fear 90%") :]
    assert fear.startswith(
        "fear 90% The ninth stair , paragraph 6 the-ninth-stair/0005 80% The ninth stair , paragraph 5 the-ninth-stair/0004"
    )


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


def test_weak_emotions_have_low_ridges(scored: ScoredFolder, point: Point) -> None:
    scored.add("flat", point("joy", 0.2))
    rows = re.findall(r'<path class="line" d="M0 (\d+)', html(scored.write()))
    heights = [HEADROOM + PITCH * row - int(y) for row, y in enumerate(rows, start=1)]
    assert heights == [round((HEADROOM + PITCH) * probability / 0.5) for probability in (0.2, *[0.1] * 8)]


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
    assert document.count("script") == 1
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


@pytest.mark.parametrize("labels", [["yes", "no"], ["only"], [f"LABEL_{i}" for i in range(28)], ["neutral"]])
def test_any_label_set(scored: ScoredFolder, point: Point, labels: list[str]) -> None:
    scored.labels = labels
    for label in labels:
        scored.add("a", point(label, labels=labels) if len(labels) > 1 else [1.0])
    words = Document(html(scored.write())).words
    assert all(label in words for label in labels)
    assert "Labels overall" in words
    assert "emotion" not in words.replace("Model emotions", "")


@pytest.fixture
def sets(scored: ScoredFolder) -> ScoredFolder:
    """Two stories with a multi-label model: several labels, one, or none for each paragraph."""
    scored.labels, scored.thresholds = [".toxic", "[rude] or/and crude", "LABEL_2"], [0.5, 0.25, 0.75]
    for probabilities in [(0.9, 0.3, 0.8), (0.4, 0.2, 0.7), (0.4, 0.4, 0.7), (0.5, 0.1, 0.1)]:
        scored.add("a", probabilities)
    scored.add("b", (0.1, 0.1, 0.1))
    return scored


def test_shares_of_a_multi_label_model_are_of_paragraphs(sets: ScoredFolder) -> None:
    words = Document(html(sets.write())).words
    assert ".toxic is a label of 40% of the paragraphs, followed by [rude] or/and crude (40%) and LABEL_2 (20%)." in words
    assert "40% of the paragraphs have no label." in words
    assert "The mean number of labels of a paragraph is 1." in words
    assert "Paragraphs Share Mean Threshold .toxic 2 40% 46% 50% [rude] or/and crude 2 40% 22% 25%" in words
    assert "LABEL_2 1 20% 48% 75% no label 2 40%" in words
    assert "add up to the height of the frame" not in words
    assert "version 1, multi-label" in words


def test_strip_of_a_multi_label_model_shows_labels_and_gaps(sets: ScoredFolder) -> None:
    page = html(sets.write())
    cells = re.findall(r'<rect class="(\w+)" x[^>]*><title>(Paragraph[^<]*)</title>', page)
    assert cells == [
        ("e0", "Paragraph 1: .toxic 90%, LABEL_2 80%, [rude] or/and crude 30%"),
        ("none", "Paragraph 2, no label: LABEL_2 70%, .toxic 40%, [rude] or/and crude 20%"),
        ("e1", "Paragraph 3: LABEL_2 70%, .toxic 40%, [rude] or/and crude 40%"),  # the others are below their thresholds
        ("e0", "Paragraph 4: .toxic 50%, [rude] or/and crude 10%, LABEL_2 10%"),
        ("none", "Paragraph 1, no label: .toxic 10%, [rude] or/and crude 10%, LABEL_2 10%"),
    ]
    rise = float(re.findall(r'data-rise="([\d.]+)"', page)[0])
    lines = [int(y) for y in re.findall(r'class="threshold" d="M0 (\d+)H', page)[:3]]
    assert lines == [round(HEADROOM + PITCH * (row + 1) - rise * value) for row, value in enumerate(sets.thresholds)]


def test_stacks_of_independent_probabilities_stay_in_their_frames(sets: ScoredFolder) -> None:
    sets.add("b", (1.0, 1.0, 1.0))
    page = html(sets.write())
    assert re.search(r"expected to have: \d\.\d fill the frame", Document(page).words)
    stacks = re.findall(r'<svg class="thumb".*?</svg>', page, re.DOTALL)
    assert len(stacks) == 2
    for path in re.findall(r' d="M0 (-?\d+)l(.*?)V1000H0z"', "".join(stacks)):
        steps = [int(number) for number in path[1].split()]
        assert min(accumulate(steps[1::2], initial=int(path[0]))) >= 0


def test_a_page_without_any_label(scored: ScoredFolder) -> None:
    scored.labels, scored.thresholds = ["x"], [1.0]
    scored.add("a", [0.0])
    words = Document(html(scored.write())).words
    assert "No paragraph has a label." in words
    assert "no label 1 100%" in words


@pytest.mark.parametrize("multi_label", [False, True])
def test_charts_show_the_most_frequent_of_many_labels(scored: ScoredFolder, point: Point, multi_label: bool) -> None:
    scored.labels = [f"LABEL_{number}" for number in range(100)]
    scored.thresholds = [0.5] * 100 if multi_label else []
    for number in range(99, 49, -1):
        for _ in range(2 if number in (60, 70) else 1):
            scored.add("ab"[number % 2], point(f"LABEL_{number}", labels=scored.labels))
    document = Document(html(scored.write()))
    assert document.count("g") == 2 * MAX_SHOWN
    assert document.words.count(f"Of the 100 labels, the {MAX_SHOWN} most frequent are shown.") == 2
    legend = document.words[document.words.index("most frequent are shown.") :].split()[4 : 4 + MAX_SHOWN]
    assert {"LABEL_60", "LABEL_70"} < set(legend)
    percents = {len((found["data-p"] or "").split()) for _, found in document.elements if "data-p" in found}
    assert percents == {MAX_SHOWN}  # the script shows one in each row
    assert document.count("section", class_="e99") == 1  # also the strongest paragraphs of the other labels


def test_single_story_has_no_comparison(scored: ScoredFolder, point: Point) -> None:
    scored.add("alone", point("joy"))
    page = html(scored.write())
    assert 'href="#stories"' not in page
    assert "1 story, 1 paragraph" in Document(page).words
    assert "A single paragraph, with joy at 80%." in page


def test_numbers_of_stories_and_points_are_limited(scored: ScoredFolder, point: Point) -> None:
    for number in range(MAX_STORIES + 5):
        for _ in range(3):
            scored.add(f"chapter-{number}", point("joy"))
    for position in range(4000):
        scored.add("saga", point("fear" if position % 2 else "love"), position=position)
    page = html(scored.write())
    document = Document(page)
    assert document.count("article", class_="arc") == MAX_ARCS
    assert document.count("svg", class_="thumb") == MAX_STORIES
    assert f"The {MAX_STORIES} longest of {MAX_STORIES + 6} stories are shown." in document.words
    assert f"The {MAX_ARCS} longest of {MAX_STORIES + 6} stories are shown." in document.words
    assert "4,000 paragraphs, drawn as 240 groups of adjacent paragraphs" in document.words
    assert len(page) < 2_000_000


def test_stories_are_in_natural_order(scored: ScoredFolder, point: Point) -> None:
    for number in (10, 2, 1):
        scored.add(f"chapter-{number}", point("joy"))
    titles = re.findall(r"<h3 id=.story-\d+-title.>(.*?)</h3>", html(scored.write()))
    assert titles == ["Chapter 1", "Chapter 2", "Chapter 10"]


def test_incomplete_run_is_marked(story: ScoredFolder) -> None:
    assert "not complete" not in html(story.write())
    story.complete = False
    words = Document(html(story.write())).words
    assert "This run is not complete." in words
    assert "Finished not complete" in words


def test_page_is_deterministic(story: ScoredFolder) -> None:
    folder = story.write()
    assert html(folder) == html(folder)
    assert not list(folder.glob(".*.aside"))
