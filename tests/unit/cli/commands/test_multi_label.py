"""Commands with a multi-label model, whose labels are neither emotions nor names of columns."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from undertone_client.testing import FakeClassifier, ItemFault, expected_independent_probabilities

from tests.unit.support.command import Command, read_failures, read_manifest
from tests.unit.support.scored_folder import Point, ScoredFolder

LABELS = ("LABEL_0", "joy or relief", ".n/a", "[red] Été, 5.5", 'say "no"')
"""Arrow reads names that begin with a dot or a bracket as paths, and Iceberg those with a dot."""
THRESHOLDS = (0.5, 0.75, 0.875, 0.75, 0.625)
TEXTS = [f"Paragraph number {index}." for index in range(30)]


def labels_of(text: str) -> list[str]:
    """The labels above their threshold."""
    values = expected_independent_probabilities(text, len(LABELS))
    return [label for label, value, limit in zip(LABELS, values, THRESHOLDS, strict=True) if value >= limit]


NONE = next(text for text in TEXTS if not labels_of(text))
SEVERAL = next(text for text in TEXTS if len(labels_of(text)) > 1)


@pytest.fixture
def service(threaded_service: FakeClassifier) -> FakeClassifier:
    threaded_service.labels, threaded_service.thresholds = LABELS, THRESHOLDS
    return threaded_service


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text("\n\n".join(TEXTS))
    return path


@pytest.fixture
def folder(command: Command, service: FakeClassifier, story: Path, tmp_path: Path) -> Path:
    out = tmp_path / "scores"
    assert command("score", story, "--out", out, "--keep", "text").exit_code == 0
    return out


@pytest.mark.parametrize("text", [NONE, SEVERAL])
def test_classify(command: Command, service: FakeClassifier, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    document = json.loads(command("classify", text).output)
    assert (document["problem_type"], document["labels_above_threshold"]) == ("multi-label", labels_of(text))
    assert document["label"] == max(document["probabilities"], key=document["probabilities"].get)
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = command("classify", text).output
    assert f"labels: {', '.join(labels_of(text)) or 'none: no probability reaches'}" in shown
    assert all(label in shown for label in LABELS)


def test_classify_shows_labels_above_their_threshold_and_the_most_probable(
    command: Command, service: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.labels = tuple(f"LABEL_{index}" for index in range(100))
    service.thresholds = (0.7,) * 100
    above = json.loads(command("classify", "many").output)["labels_above_threshold"]
    assert len(above) > 20
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = command("classify", "many").output
    assert f"{100 - len(above)} less probable labels are not shown" in shown
    assert set(above) <= set(re.findall(r"LABEL_\d+", shown.partition("labels:")[0]))


def test_model(command: Command, service: FakeClassifier) -> None:
    output = command("model").output
    assert f"any number of {', '.join(LABELS)}" in output
    assert "LABEL_0 0.5, joy or relief 0.75" in output
    service.thresholds = (0.25,) * len(LABELS)
    assert "0.25 for each label" in command("model").output


def test_the_table_has_the_labels_of_each_paragraph(folder: Path) -> None:
    table = pq.read_table(folder)
    assert table["labels_above_threshold"].to_pylist() == [labels_of(text) for text in TEXTS]
    probabilities = [tuple(row[label] for label in LABELS) for row in table.to_pylist()]
    assert probabilities == [expected_independent_probabilities(text, len(LABELS)) for text in TEXTS]
    field = pq.read_schema(folder / "part-00000.parquet").field("labels_above_threshold")
    assert (field.type, field.nullable) == (pa.list_(pa.field("element", pa.string())), False)
    model = read_manifest(folder)["model"]
    assert (model["problem_type"], model["thresholds"], model["labels"]) == ("multi-label", list(THRESHOLDS), list(LABELS))


def test_the_summary_counts_paragraphs_with_each_label_and_without_any(
    command: Command, service: FakeClassifier, story: Path, tmp_path: Path
) -> None:
    shown = command("score", story, "--out", tmp_path / "out").output
    again = command("score", story, "--out", tmp_path / "out").output
    sets = [labels_of(text) for text in TEXTS]
    for label in LABELS:
        share = sum(label in labels for labels in sets) / len(sets)
        assert f"{label} {share:5.1%}" in shown
        assert f"{label} {share:5.1%}" in again  # kept from the earlier run
    assert f"(no label) {sets.count([]) / len(sets):5.1%}" in shown
    assert "A paragraph can have several labels, or none." in shown


def test_a_run_without_any_label_has_a_summary(command: Command, service: FakeClassifier, story: Path, tmp_path: Path) -> None:
    service.thresholds = (1.0,) * len(LABELS)
    assert "(no label) 100.0%" in command("score", story, "--out", tmp_path / "out").output


def test_a_replay_completes_the_table(
    command: Command, service: FakeClassifier, folder: Path, story: Path, tmp_path: Path
) -> None:
    service.item_faults = {text: ItemFault(grpc.StatusCode.INTERNAL, "broken") for text in (NONE, SEVERAL)}
    out = tmp_path / "replayed"
    assert command("score", story, "--out", out, "--keep", "text").exit_code == 1
    assert len(read_failures(out)) == 2
    service.item_faults = {}
    assert command("replay", out).exit_code == 0
    names = [name for name in pq.read_schema(folder / "part-00000.parquet").names if name != "scored_at"]
    assert pq.read_table(out, columns=names) == pq.read_table(folder, columns=names)


@pytest.mark.parametrize(
    ("labels", "thresholds", "difference"),
    [
        (LABELS, (), "problem type: the folder has multi-label, this command has single-label"),
        (LABELS, (0.5,) * 5, "thresholds: the folder has 0.5, 0.75, 0.875, 0.75, 0.625, this command has 0.5, 0.5"),
        (LABELS[:4], THRESHOLDS[:4], "labels: the folder has LABEL_0, joy or relief, .n/a,"),
    ],
)
def test_another_kind_of_model_is_refused(
    command: Command,
    service: FakeClassifier,
    folder: Path,
    story: Path,
    labels: tuple[str, ...],
    thresholds: tuple[float, ...],
    difference: str,
) -> None:
    service.labels, service.thresholds = labels, thresholds
    before = pq.read_table(folder)
    result = command("score", story, "--out", folder, "--keep", "text")
    assert (result.exit_code, difference in result.output) == (2, True)
    assert pq.read_table(folder) == before


def edit_model(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the model in _run.json."""
    document = read_manifest(folder)
    change(document["model"])
    (folder / "_run.json").write_text(json.dumps(document))


def test_a_folder_without_a_problem_type_is_single_label(
    command: Command, threaded_service: FakeClassifier, story: Path, tmp_path: Path
) -> None:
    assert command("score", story, "--out", tmp_path / "out").exit_code == 0
    edit_model(tmp_path / "out", lambda model: (model.pop("problem_type"), model.pop("thresholds")))
    assert "30 kept from an earlier run" in command("score", story, "--out", tmp_path / "out").output
    assert command("report", tmp_path / "out").exit_code == 0


@pytest.mark.parametrize(("name", "value"), [("thresholds", [0.5]), ("problem_type", "several-label"), ("thresholds", [])])
def test_a_damaged_manifest_is_refused(command: Command, folder: Path, name: str, value: object) -> None:
    edit_model(folder, lambda model: model.update({name: value}))
    result = command("report", folder)
    assert (result.exit_code, "_run.json is not a valid manifest" in result.output) == (2, True)


def test_replay_with_another_kind_of_model_is_refused(
    command: Command, service: FakeClassifier, story: Path, tmp_path: Path
) -> None:
    service.item_faults = {NONE: ItemFault(grpc.StatusCode.INTERNAL, "broken")}
    assert command("score", story, "--out", tmp_path / "out").exit_code == 1
    service.item_faults, service.thresholds = {}, ()
    result = command("replay", tmp_path / "out")
    assert result.exit_code == 2
    assert "scores of fake version 1 fp32, but" in result.output
    assert "problem type: the folder has multi-label, this command has single-label" in result.output


def test_results_of_queries_have_lists_of_labels(command: Command, folder: Path, tmp_path: Path) -> None:
    query = "SELECT labels_above_threshold AS found FROM scores ORDER BY position"
    lines = command("sql", query, folder, "--format", "csv").stdout.splitlines()
    assert [json.loads(line.strip('"').replace('""', '"')) for line in lines[1:]] == [labels_of(text) for text in TEXTS]
    rows = command("sql", query, folder, "--format", "json").stdout.splitlines()
    assert [json.loads(row)["found"] for row in rows] == [labels_of(text) for text in TEXTS]
    table = command("sql", query, folder).stdout.splitlines()
    assert [line.strip() for line in table[2:32]] == [", ".join(labels_of(text)) for text in TEXTS]
    assert command("sql", query, folder, "--output", tmp_path / "found.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "found.parquet")["found"].to_pylist() == [labels_of(text) for text in TEXTS]


def test_scores_of_a_single_label_model_have_no_list(
    command: Command, threaded_service: FakeClassifier, story: Path, tmp_path: Path
) -> None:
    assert command("score", story, "--out", tmp_path / "out").exit_code == 0
    assert "labels_above_threshold" not in pq.read_schema(tmp_path / "out" / "part-00000.parquet").names
    query = "SELECT COUNT(*) AS n FROM scores WHERE labels_above_threshold IS NULL AND len(labels_above_threshold) IS NULL"
    assert command("sql", query, tmp_path / "out", "--format", "csv").stdout == "n\n30\n"


@pytest.mark.parametrize("label", LABELS)
def test_top_finds_a_label_of_any_name(command: Command, folder: Path, label: str) -> None:
    rows = command("top", label, folder, "--with-text", "--limit", "3", "--format", "json").stdout.splitlines()
    index = LABELS.index(label)
    strongest = sorted(TEXTS, key=lambda text: -expected_independent_probabilities(text, len(LABELS))[index])[:3]
    values = [expected_independent_probabilities(text, len(LABELS))[index] for text in strongest]
    assert [json.loads(row)["probability"] for row in rows] == pytest.approx(values)


def test_a_pattern_reads_folders_of_models_with_other_labels(
    command: Command, folder: Path, scored: ScoredFolder, point: Point, tmp_path: Path
) -> None:
    scored.add("a", point("joy", 0.75))
    scored.write()
    source = f"{tmp_path}/*/part-*.parquet"
    query = """SELECT labels_above_threshold AS found, joy, "LABEL_0" AS zero FROM scores ORDER BY joy, position"""
    rows = [json.loads(line) for line in command("sql", query, source, "--format", "json").stdout.splitlines()]
    zeros = [expected_independent_probabilities(text, len(LABELS))[0] for text in TEXTS]
    assert rows[0] == {"found": None, "joy": 0.75, "zero": None}
    assert rows[1:] == [{"found": labels_of(text), "joy": None, "zero": zero} for text, zero in zip(TEXTS, zeros, strict=True)]
    found = command("top", "joy", source, "--format", "json").stdout.splitlines()
    assert [json.loads(row)["id"] for row in found] == ["a/0000"]
    strongest = json.loads(command("top", "LABEL_0", source, "--limit", "1", "--format", "json").stdout)
    assert list(strongest)[-2:] == ["model", "text"]  # the only kept column


def test_publish_adds_labels_of_any_name_to_a_table(command: Command, folder: Path, scored: ScoredFolder, point: Point) -> None:
    scored.add("a", point("joy", 0.75))
    lake = ("--warehouse", folder.parent / "lake", "--table", "emotions.reviews")
    for each in (scored.write(), folder):
        result = command("publish", each, *lake)
        assert result.exit_code == 0, result.output
    columns = ", ".join('"' + label.replace('"', '""') + '"' for label in LABELS)
    query = f"SELECT {columns} FROM scores WHERE labels_above_threshold IS NOT NULL ORDER BY position"  # noqa: S608
    lines = command("sql", query, "emotions.reviews", *lake[:2], "--format", "json").stdout.splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == [
        expected_independent_probabilities(text, len(LABELS)) for text in TEXTS
    ]
