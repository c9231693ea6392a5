"""The page as a reader gets it: complete, self-contained, safe, and true to the scores."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ET  # only ever parses what the test has just written

import pytest
from undertone_cli.readers import Fingerprint, ReadOptions, RowTypes
from undertone_cli.report.page import MAX_SHOWN
from undertone_cli.report.stories import MAX_BINS
from undertone_client.jobs import OutputError

from tests.unit.support.report_page import Charts, Document, html
from tests.unit.support.scored_folder import Point, ScoredFolder


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
        content = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)  # not the script element of the data
        assert content
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_links_have_targets_and_ids_are_unique(story: ScoredFolder) -> None:
    page = html(story.write())
    elements = Document(page).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"] or "" for tag, attributes in elements if tag == "a"}
    stories = {link for link in links if link.startswith("#story-")}
    assert links - stories <= {f"#{ident}" for ident in ids}
    found = Charts(page).stories
    for number, *place in (link.removeprefix("#story-").split("-") for link in stories):
        linked = found[int(number) - 1]
        assert all(linked["first"] <= int(each) <= linked["last"] for each in place)
    for name in ("aria-labelledby", "for"):
        assert {attributes[name] for _, attributes in elements if name in attributes} <= set(ids)


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
    assert f"fear 3 38% {mean:.0%} 80%" in words
    assert "The highest of all is 90%." in words
    tokens = sum(row.score.tokens for row in story.rows)
    assert f"Paragraphs scored 8 Failed 3 Tokens {tokens} Paragraphs per second 4 Duration 2.0 s" in words
    assert "Model emotions, version 1, single-label Precision fp32 Long paragraphs chunk-mean" in words
    assert "UNAVAILABLE 2 connection refused x/0001 , x/0002" in words
    assert "INVALID_ARGUMENT 1 the paragraph is empty x/0003" in words


def test_charts_have_every_scored_paragraph(story: ScoredFolder) -> None:
    charts = Charts(html(story.write()))
    lost, ninth = charts.stories
    assert [lost["document"], ninth["document"]] == ["lost-property", "the-ninth-stair"]
    assert [(each["start"], each["groups"]) for each in charts.stories] == [(0, 3), (3, 5)]
    assert charts.integers("first") == charts.integers("last") == [0, 1, 2, 0, 1, 3, 4, 5]  # a gap in the second story
    labels = charts.document["labels"]
    joy, sadness, fear = (charts.rows("means")[labels.index(label)] for label in ("joy", "sadness", "fear"))
    assert (sadness[:3], fear[5:], joy[3:5]) == ([0.7] * 3, [0.7, 0.8, 0.9], [0.5, 0.6])
    assert [labels[index] for index in charts.integers("leading")] == ["sadness"] * 3 + ["joy"] * 2 + ["fear"] * 3
    assert charts.probabilities("confidence") == [0.7] * 3 + [0.5, 0.6, 0.7, 0.8, 0.9]


def test_numbers_of_paragraphs_are_those_of_ids_and_positions(story: ScoredFolder) -> None:
    words = Document(html(story.write())).words
    fear = words[words.index("Strongest paragraphs The paragraphs") :]
    fear = fear[fear.index("fear 90%") :]
    assert fear.startswith(
        "fear 90% The ninth stair , paragraph 5 the-ninth-stair/0005 80% The ninth stair , paragraph 4 the-ninth-stair/0004"
    )
    assert "Strongest paragraph: fear 90% in paragraph 5." in Charts(html(story.path)).stories[1]["sentence"]


def test_confidence_is_the_highest_probability(story: ScoredFolder) -> None:
    words = Document(html(story.write())).words
    assert "The highest probability of a paragraph is 70% on average, and below 50% in 0% of the paragraphs." in words
    assert "12% 12% 50% 12% 12% 0 –10%" in words  # 50 %, 60 %, 4 times 70 %, 80 % and 90 %


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
    assert "Paragraphs Share Mean Confidence Threshold .toxic 2 40% 46% 70% 50% [rude] or/and crude 2 40% 22% 35% 25%" in words
    assert "LABEL_2 1 20% 48% 80% 75% no label 2 40%" in words
    assert "add up to the height of the frame" not in words
    assert "version 1, multi-label" in words


def test_strip_of_a_multi_label_model_shows_labels_and_gaps(sets: ScoredFolder) -> None:
    charts = Charts(html(sets.write()))
    none = 65_535
    # A label leads only if it reaches its threshold.
    assert charts.integers("leading") == [0, none, 1, 0, none]
    assert charts.document["thresholds"] == list(sets.thresholds)


def test_stacks_of_independent_probabilities_stay_in_their_frames(sets: ScoredFolder) -> None:
    sets.add("b", (1.0, 1.0, 1.0))
    page = html(sets.write())
    top = Charts(page).document["stackTop"]
    assert 2 < top <= 3
    assert f"expected to have: {top} fill the frame" in Document(page).words


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
    page = html(scored.write())
    document = Document(page)
    assert len(Charts(page).document["shown"]) == len(Charts(page).rows("means")) == MAX_SHOWN
    assert document.words.count(f"Of the 100 labels, the {MAX_SHOWN} most frequent are shown.") == 2
    names = {Charts(page).document["labels"][index] for index in Charts(page).document["shown"]}
    assert {"LABEL_60", "LABEL_70"} < names
    assert document.count("section", class_="e99") == 1  # also the strongest paragraphs of the other labels


def test_single_story_has_no_list_of_stories(scored: ScoredFolder, point: Point) -> None:
    scored.add("alone", point("joy"))
    page = html(scored.write())
    assert 'href="#stories"' not in page
    assert 'id="picker"' not in page
    assert "1 story, 1 paragraph" in Document(page).words
    assert Charts(page).stories[0]["sentence"] == "A single paragraph: joy 80%."


def test_all_stories_are_on_the_page(scored: ScoredFolder, point: Point) -> None:
    for number in range(300):
        for position in range(2):
            scored.add(f"chapter-{number}", point("joy"), position=position)
    for position in range(4000):
        scored.add("saga", point("fear" if position % 2 else "love"), position=position)
    page = html(scored.write())
    document, charts = Document(page), Charts(page)
    names = [*(f"chapter-{number}" for number in range(300)), "saga"]  # chapter 2 before 10
    assert [story["document"] for story in charts.stories] == names
    assert all(
        f"#story-{number}" in {attributes.get("href") for _, attributes in document.elements} for number in range(1, 302)
    )
    assert charts.stories[-1]["groups"] == MAX_BINS
    assert sum(charts.integers("count")) == 4600
    assert "301 stories, 4,600 paragraphs" in document.words


def test_rows_of_a_table_are_no_story(scored: ScoredFolder, point: Point) -> None:
    scored.sources = (
        Fingerprint("/data/reviews.csv", "csv", "reviews", 1, "ab"),
        Fingerprint("/tale.txt", "text", "tale", 1, "cd"),
    )
    for label in ("joy", "fear", "joy"):
        scored.add("reviews", point(label))
    alone = html(scored.write())
    assert "The input is a table of rows without an order, and no story." in Document(alone).words
    assert Charts(alone).stories == []
    assert 'id="arcs"' not in alone
    assert "story" not in Document(alone).words.split("Run Paragraphs scored")[0].split("score with --document-column .")[1]

    scored.add("tale", point("joy"))
    both = html(scored.write())
    assert "1 of 2 documents are tables of rows" in Document(both).words
    assert [story["document"] for story in Charts(both).stories] == ["tale"]

    scored.options = ReadOptions(document_column="book")
    named = html(scored.write())
    assert [story["document"] for story in Charts(named).stories] == ["reviews", "tale"]


def test_valence_is_on_the_page_if_all_labels_are_known(story: ScoredFolder) -> None:
    page = html(story.write())
    assert "The probability of joy and love minus that of fear, sadness, anger and disgust." in Document(page).words
    expected = [0.0375 * 2 - (0.7 + 0.0375 * 3)] * 3
    assert Charts(page).valence()[:3] == pytest.approx(expected, abs=1e-3)


def test_valence_is_absent_if_a_label_is_unknown(sets: ScoredFolder) -> None:
    page = html(sets.write())
    assert "alence" not in Document(page).words
    assert "valence" not in Charts(page).document["columns"]
    assert Charts(page).stories[0]["valence"] is None


def test_chapters_of_a_kept_column_are_marked(scored: ScoredFolder, point: Point) -> None:
    scored.options, scored.types = ReadOptions(document_column="book", keep=("chapter",)), RowTypes("string", ("string",))
    for position, chapter in enumerate(["I", "I", "II", "II", None, "III"]):
        scored.add("novel", point("joy"), position=position + 1, kept=(chapter,))
    page = html(scored.write())
    assert Charts(page).stories[0]["chapters"] == [[1, "I", 1], [3, "II", 3], [6, "III", 6]]
    assert "Vertical line The start of a chapter." in Document(page).words
    with pytest.raises(OutputError, match=r"--chapter-column 'part': the run did not keep this column \(it kept: chapter\)"):
        html(scored.path, chapter_column="part")


def test_documents_can_be_the_chapters_of_one_story(scored: ScoredFolder, point: Point) -> None:
    for chapter in (1, 2, 10):
        for position in range(4):
            scored.add(
                f"novel-{chapter}", point("fear" if (chapter, position) == (2, 3) else "joy", 0.9), position=position + 5
            )
    page = html(scored.write(), chapter_column="document")
    [novel] = Charts(page).stories
    assert (novel["document"], novel["paragraphs"], novel["first"], novel["last"]) == ("novel", 12, 0, 11)
    assert novel["chapters"] == [[0, "Novel 1", 5], [4, "Novel 2", 5], [8, "Novel 10", 5]]
    assert Charts(page).integers("first") == list(range(12))
    assert '<a href="#story-1-7">Novel 2</a>' in page


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
