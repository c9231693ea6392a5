"""A multi-label model from the model server to the report and the table."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.integration.conftest import Command, Pod, runner
from tests.integration.support.callers import paragraphs

TEXTS = paragraphs(60, longest=30, seed=3)


@pytest.fixture(scope="module")
def undertone(multi_label_pod: Pod) -> Command:
    return runner(multi_label_pod)


@pytest.fixture(scope="module")
def folder(undertone: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("stories")
    source, out = base / "story.txt", base / "scores"
    source.write_text("\n\n".join(TEXTS))
    scored = undertone("score", source, "--out", out, "--keep", "text", "--min-characters", 0)
    assert (scored.exit_code, "(no label)" in scored.stdout) == (0, True)
    return out


def test_labels_reach_the_folder_the_report_and_the_table(undertone: Command, folder: Path, tmp_path: Path) -> None:
    contract = json.loads(undertone("model", "--json").stdout)["contract"]
    assert contract["problem_type"] == "PROBLEM_TYPE_MULTI_LABEL"
    thresholds = dict(zip(contract["labels"], contract["thresholds"], strict=True))
    rows = pq.read_table(folder).to_pylist()
    assert [row["text"] for row in rows] == TEXTS
    for row in rows:
        above = [label for label, threshold in thresholds.items() if row[label] >= threshold]
        assert row["labels_above_threshold"] == above
        assert row["label"] == max(thresholds, key=row.__getitem__)
    numbers = [len(row["labels_above_threshold"]) for row in rows]
    none, several = numbers.index(0), numbers.index(max(numbers))
    assert numbers[several] > 1

    for row in (rows[none], rows[several]):
        answer = json.loads(undertone("classify", row["text"]).stdout)
        assert answer["labels_above_threshold"] == row["labels_above_threshold"]
        assert answer["probabilities"] == pytest.approx({label: row[label] for label in thresholds}, abs=1e-5)

    assert undertone("report", folder).exit_code == 0
    page = (folder / "_report.html").read_text()
    assert f"{numbers.count(0) / len(rows):.0%} of the paragraphs have no label." in page

    lake = ("--warehouse", tmp_path / "lake")
    published = undertone("publish", folder, "--table", "emotions.stories", *lake)
    assert (published.exit_code, "60 added" in published.stdout) == (0, True)
    query = "SELECT text, labels_above_threshold AS above FROM scores ORDER BY position"
    lines = undertone("sql", query, "emotions.stories", *lake, "--format", "json").stdout.splitlines()
    assert list(map(json.loads, lines)) == [{"text": row["text"], "above": row["labels_above_threshold"]} for row in rows]
    again = undertone("publish", folder, "--table", "emotions.stories", *lake)
    assert "nothing to publish" in again.stdout


def test_a_folder_of_the_other_kind_is_refused(undertone: Command, folder: Path, pod: Pod) -> None:
    source = folder.parent / "story.txt"
    refused = runner(pod)("score", source, "--out", folder, "--keep", "text", "--min-characters", 0)
    assert refused.exit_code == 2
    assert "problem type: the folder has multi-label, this command has single-label" in refused.stderr
    kept = undertone("score", source, "--out", folder, "--keep", "text", "--min-characters", 0)
    assert "60 kept from an earlier run" in kept.stdout
