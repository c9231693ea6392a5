"""The playground in a real browser, against a real pod."""

import json
import re
import urllib.request
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.browser.conftest import Steps
from tests.integration.conftest import Pod
from tests.integration.support.processes import TIMEOUT_SECONDS

MARKUP = "<img src=x onerror=alert(1)> <b>bold</b> & \"quoted\" 'text'"


@pytest.fixture(scope="module")
def seen(steps: Steps, pod: Pod) -> dict[str, Any]:
    """What the steps in playground_steps.py found."""
    return steps("playground_steps.py", f"http://localhost:{pod.sidecar.http_port}/")


@pytest.mark.parametrize("width", ["narrow", "wide"])
def test_a_story_is_scored_and_shown(seen: dict[str, Any], pod: Pod, width: str) -> None:
    page = seen[width]
    with urllib.request.urlopen(f"http://localhost:{pod.sidecar.http_port}/v1/model", timeout=TIMEOUT_SECONDS) as answer:
        contract = json.load(answer)["contract"]
    assert page["texts"] == page["story"]
    assert sorted(bar.split()[0] for bar in page["bars"]) == sorted(contract["labels"])
    (call,) = page["calls"]
    assert call[:2] == ["1", str(page["paragraphs"])]
    assert len(call) == 7
    assert page["figures"][0] == str(len(page["story"]))
    for fact in (contract["name"], contract["version"], contract["precision"], *contract["labels"]):
        assert fact in page["model"]


@pytest.mark.parametrize("width", ["narrow", "wide"])
def test_axe_finds_no_violation(seen: dict[str, Any], width: str) -> None:
    assert seen[width]["violations"] == []
    assert seen["many_labels"]["violations"] == []


@pytest.mark.parametrize("width", ["narrow", "wide"])
def test_the_page_fits_and_the_browser_reports_nothing(seen: dict[str, Any], width: str) -> None:
    assert seen[width]["overflow"] == 0
    assert seen[width]["messages"] == []


def test_the_page_is_dark_or_light_by_preference(seen: dict[str, Any]) -> None:
    dark, light = (int(seen[width]["paper"].removeprefix("rgb(").split(",")[0]) for width in ("narrow", "wide"))
    assert dark < 64
    assert light > 192


def test_requests_go_to_this_server_only(seen: dict[str, Any], pod: Pod) -> None:
    origin = f"http://localhost:{pod.sidecar.http_port}/"
    requests = seen["narrow"]["requests"] + seen["wide"]["requests"]
    assert all(url.startswith(origin) for _, url in requests)
    assert {url for method, url in requests if method != "GET"} == {f"{origin}v1/paragraphs:classifyBatch"}


def test_the_keyboard_is_enough(seen: dict[str, Any]) -> None:
    keyboard = seen["keyboard"]
    assert keyboard["skip"] == "Skip to the text"
    assert keyboard["stops"][0] == "text"
    assert "score" in keyboard["stops"]
    assert keyboard["outline"] == "solid"
    assert keyboard["value"].startswith("paragraph 2: ")
    assert keyboard["opened"] == "paragraph-2"


def test_markup_in_a_text_is_text(seen: dict[str, Any]) -> None:
    texts = seen["texts"]
    assert texts["texts"] == [MARKUP, "\u200b", "two\nlines"]
    assert texts["images"] == 0


def test_an_error_of_a_paragraph_is_beside_it(seen: dict[str, Any]) -> None:
    (error,) = seen["texts"]["errors"]
    assert error.startswith("INVALID_ARGUMENT")
    assert seen["texts"]["status"].startswith("2 of 3 paragraphs scored")
    first, (refused,), third = seen["texts"]["refused"]
    assert "overlength_policy" in refused
    assert first == third == []


def test_a_long_text_is_sent_in_batches_and_continued_after_an_error(seen: dict[str, Any]) -> None:
    batches = seen["batches"]
    assert batches["problem"].startswith("RESOURCE_EXHAUSTED: the queue is full.")
    assert "wait 3 seconds" in batches["problem"]
    assert 0 < batches["partial"] < 70
    assert batches["texts"] == [f"Paragraph {number}." for number in range(1, 71)]
    assert set(batches["lanes"]) == {"batch"}
    assert len(batches["lanes"]) == 4
    assert batches["hidden"]


def test_a_call_can_be_cancelled(seen: dict[str, Any]) -> None:
    assert seen["batches"]["cancelled"].startswith("Cancelled. 0 of 1 paragraph")


def test_forty_independent_labels_are_shown(seen: dict[str, Any]) -> None:
    shown = seen["many_labels"]
    assert shown["verdicts"][0].split("\n")[:2] == ["label-39 98%", "label-38 95%"]
    assert shown["verdicts"][1].startswith("no label reaches its threshold")
    assert shown["bars"] == 40
    assert shown["rows"] == 12
    assert shown["calls"][0][:6] == ["1", "2", "200 ms", "100 ms", "300 ms", "1.25 s"]


def test_a_paragraph_above_the_limits_of_the_server_is_not_sent(seen: dict[str, Any]) -> None:
    (error,) = seen["many_labels"]["errors"]
    assert "100 characters; the limit is 99" in error


def test_batches_keep_the_order_and_the_limits(seen: dict[str, Any]) -> None:
    batches, limits = seen["modules"]["batches"], seen["modules"]["limits"]
    assert [text for batch in batches for text in batch] == seen["modules"]["texts"]
    for batch in batches:
        assert 1 <= len(batch) <= limits["maxBatchParagraphs"]
        assert sum(len(text.encode()) for text in batch) <= limits["maxBatchBytes"]
    for batch, after in pairwise(batches):
        full = sum(len(text.encode()) for text in [*batch, after[0]]) > limits["maxBatchBytes"]
        assert full or len(batch) == limits["maxBatchParagraphs"]


def test_a_curve_stays_between_its_points(seen: dict[str, Any]) -> None:
    path = seen["modules"]["path"]
    y = float(path[1:].split("H")[0].split()[1])
    segments = re.findall(r"C([^CH]+)", path)
    assert len(segments) == 199
    for segment in segments:
        _, first, _, second, _, end = map(float, segment.split())
        assert min(y, end) - 0.1 <= min(first, second) <= max(first, second) <= max(y, end) + 0.1
        y = end
