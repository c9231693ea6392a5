"""`undertone compare` of two services."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result
from undertone_cli.__main__ import undertone
from undertone_cli.service_comparison import ComparedServices
from undertone_client.jobs import ConnectionOptions
from undertone_client.testing import FakeClassifier, Fault, ItemFault
from undertone_client.testing.classifier import EMOTIONS, expected_probabilities

from tests.unit.conftest import serving
from tests.unit.support.command import write_texts

TEXTS = [f"Paragraph number {number} of the sample." for number in range(40)]
PLANTED = {3: "joy", 7: "anger", 8: "anger", 13: "joy"}
"""Labels that only the candidate gives, by the number of the text."""


def label(text: str) -> str:
    probabilities = expected_probabilities(text)
    return EMOTIONS[probabilities.index(max(probabilities))]


def certain(emotion: str) -> tuple[float, ...]:
    return tuple(float(each == emotion) for each in EMOTIONS)


@contextmanager
def services(planted: Mapping[int, str] = PLANTED, **candidate: Any) -> Iterator[tuple[FakeClassifier, FakeClassifier]]:
    """A baseline, and a candidate that gives the planted labels."""
    with ExitStack() as stack:
        old, new = FakeClassifier(), FakeClassifier(version=2, **candidate)
        new.planted = {TEXTS[number]: certain(emotion) for number, emotion in planted.items()}
        for service in (old, new):
            stack.enter_context(serving(service))
        yield old, new


def compare(old: FakeClassifier, new: FakeClassifier, *arguments: object) -> Result:
    command = ["compare", f"--baseline={old.target}", f"--candidate={new.target}", *map(str, arguments)]
    return CliRunner().invoke(undertone, command, env={"UNDERTONE_PATIENCE": "0", "UNDERTONE_ATTEMPTS": "1", "COLUMNS": "200"})


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "sample.jsonl", TEXTS)


def test_planted_flips_are_counted_exactly(sample: Path) -> None:
    with services() as (old, new):
        result = compare(old, new, sample, "--json")
        lanes = {call.lane for service in (old, new) for call in service.calls if call.texts}
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    flips = {number: emotion for number, emotion in PLANTED.items() if label(TEXTS[number]) != emotion}
    assert len(flips) == 3
    assert (document["compared"], document["flipped"]) == (40, len(flips))
    assert document["flip_rate"] == len(flips) / 40
    low, high = document["flip_rate_interval"]
    assert low < document["flip_rate"] < high
    counted = {(flip["before"], flip["after"]): flip["paragraphs"] for flip in document["flips"]}
    expected: dict[tuple[str, str], int] = {}
    for number, emotion in flips.items():
        pair = label(TEXTS[number]), emotion
        expected[pair] = expected.get(pair, 0) + 1
    assert counted == expected
    assert {changed["id"] for changed in document["largest"]} == {f"sample/{number:04d}" for number in PLANTED}
    distances = [changed["shift"] for changed in document["largest"]]
    assert distances == sorted(distances, reverse=True)
    (joy,) = [shift for shift in document["shifts"] if shift["label"] == "joy"]
    means = [sum(expected_probabilities(text)[0] for text in TEXTS) / 40]
    changed_joy = sum(certain(emotion)[0] - expected_probabilities(TEXTS[number])[0] for number, emotion in PLANTED.items())
    assert joy["before"] == pytest.approx(means[0], abs=1e-6)
    assert joy["after"] - joy["before"] == pytest.approx(changed_joy / 40, abs=1e-6)
    assert [document[side]["model"]["version"] for side in ("baseline", "candidate")] == [1, 2]
    assert lanes == {"batch"}


def test_a_candidate_is_refused_over_the_flip_rate(sample: Path) -> None:
    with services({number: "joy" for number in range(10) if label(TEXTS[number]) != "joy"}) as (old, new):
        flipped = len(new.planted)
        allowed = compare(old, new, sample, "--max-flip-rate", flipped / 40)
        refused = compare(old, new, sample, "--max-flip-rate", flipped / 40 - 0.001)
    assert allowed.exit_code == 0
    assert f"the labels of {flipped} of 40 paragraphs changed" in allowed.stdout
    assert refused.exit_code == 4
    assert f"the candidate is refused: the labels of {flipped} of 40 paragraphs changed" in refused.stderr


def test_failures_of_one_side_are_counted(sample: Path) -> None:
    with services({}) as (old, new):
        new.item_faults = {text: ItemFault(grpc.StatusCode.INTERNAL) for text in TEXTS[:3]}
        old.item_faults = {TEXTS[3]: ItemFault(grpc.StatusCode.INVALID_ARGUMENT)}
        result = compare(old, new, sample, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert [document[f"failed_{where}"] for where in ("only_at_baseline", "only_at_candidate", "at_both")] == [1, 3, 0]
    assert document["candidate"]["failures"] == {"INTERNAL": 3}
    assert document["compared"] == 36
    assert "4 of 40 paragraphs have no score at one of the services" in result.stderr


def test_texts_are_shown_only_if_asked_for(sample: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    with services() as (old, new):
        outputs = [compare(old, new, sample, "--output", report), compare(old, new, sample, "--json")]
        shown = compare(old, new, sample, "--with-text", "--json")
    assert all("of the sample." not in output for output in (*(each.output for each in outputs), report.read_text()))
    assert {each["text"] for each in json.loads(shown.stdout)["largest"]} == {TEXTS[number] for number in PLANTED}


def test_markdown_has_the_tables_of_the_terminal(sample: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    with services() as (old, new):
        result = compare(old, new, sample, "--output", report)
    text = report.read_text()
    assert text.startswith("# fake version 1 fp32 and fake version 2 fp32\n\nthe labels of ")
    for title in ("Services", "Result", "Changed labels", "Probabilities", "Most changed paragraphs"):
        assert f"## {title}\n" in text
        assert title in result.stdout
    assert "| sample/0007 | fear | anger | " in text


def test_a_candidate_with_other_labels_is_compared_by_name(sample: Path) -> None:
    with services({}, labels=("joy", "sadness", "calm")) as (old, new):
        document = json.loads(compare(old, new, sample, "--json").stdout)
    means = {shift["label"]: (shift["before"], shift["after"]) for shift in document["shifts"]}
    assert means["calm"][0] == means["anger"][1] == 0
    assert means["calm"][1] > 0


def test_multi_label_models_are_compared_by_all_their_labels(sample: Path) -> None:
    with services({}, thresholds=(0.5,) * len(EMOTIONS)) as (_, new), serving(FakeClassifier(thresholds=(0.6,) * 9)) as old:
        document = json.loads(compare(old, new, sample, "--json").stdout)
    assert document["mean_shift"] == 0
    assert document["flipped"] > 0
    assert any(", " in flip["after"] for flip in document["flips"])


def test_a_service_that_stops_ends_the_comparison(sample: Path) -> None:
    with services() as (old, new):
        new.poison = {text: Fault(grpc.StatusCode.UNAVAILABLE) for text in TEXTS}
        result = compare(old, new, sample, "--concurrency", 2)
    assert result.exit_code == 3
    assert f"{new.target} does not answer" in result.stderr
    assert "name another address with --candidate." in result.stderr


def test_the_same_model_twice_is_an_error_at_one_address_only(sample: Path) -> None:
    with serving(FakeClassifier()) as old, serving(FakeClassifier()) as twin:
        same = compare(old, old, sample)
        other = compare(old, twin, sample)
    assert same.exit_code == 2
    assert "answers both --baseline and --candidate with fake version 1 fp32: enable the canary" in same.stderr
    assert other.exit_code == 0
    assert "both services serve fake version 1 fp32" in other.stderr


def test_a_folder_of_the_report_that_is_missing_is_found_before_the_first_call(sample: Path, tmp_path: Path) -> None:
    with services() as (old, new):
        result = compare(old, new, sample, "--output", tmp_path / "missing" / "report.md")
        assert not old.calls
    assert result.exit_code == 2
    assert f"there is no folder {tmp_path / 'missing'}: create it" in result.stderr


def test_inputs_without_a_paragraph_are_no_success(tmp_path: Path) -> None:
    with services() as (old, new):
        result = compare(old, new, write_texts(tmp_path / "empty.txt", []), "--max-flip-rate=0.01")
    assert result.exit_code == 2
    assert "the inputs have no paragraph to compare" in result.stderr


@pytest.mark.parametrize(("candidate", "version"), [("a:50051", "canary"), ("b:50051", "baseline")])
def test_only_the_canary_behind_the_same_address_is_asked_for(candidate: str, version: str) -> None:
    connections = [ConnectionOptions(target, 1.0, False, *[None] * 5) for target in ("a:50051", candidate)]
    services = ComparedServices(connections[0], connections[1], concurrency=1, attempts=1, patience=0.0)
    assert services.candidate_version == version
    assert services.settings(connections[1], version).metadata == (("undertone-model", version),)
