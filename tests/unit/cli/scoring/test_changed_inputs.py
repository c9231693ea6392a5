"""Inputs that change during a run."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from undertone_cli.readers import ReadOptions, find_inputs, inspect_inputs
from undertone_cli.run_folder import Manifest, RunFolder, RunIdentity
from undertone_cli.scoring.monitor import RunCounts
from undertone_cli.scoring.pipeline import Pipeline
from undertone_client import Client, Model, Policy
from undertone_client.jobs import InputError
from undertone_client.testing import EMOTIONS, FakeClassifier

from tests.unit.support.command import read_table, write_texts
from tests.unit.support.pipeline import NOON


async def run_after_change(path: Path, out: Path, service: FakeClassifier, change: Callable[[Path], object]) -> Pipeline:
    """Inspect an input, change it, and score it."""
    inputs = find_inputs([str(path)], ReadOptions())
    fingerprints = inspect_inputs(inputs).fingerprints
    change(path)
    identity = RunIdentity(fingerprints, inputs.options, 5, Model("fake", 1, "fp32"), EMOTIONS, Policy.CHUNK_MEAN)
    folder = RunFolder(out)
    with folder.locked():
        async with Client(service.target) as client:
            pipeline = Pipeline(folder, Manifest(identity, NOON), inputs, RunCounts(), client)
            await pipeline.run()
    return pipeline


async def test_input_damaged_after_the_inspection_keeps_earlier_scores(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = write_texts(tmp_path / "a.jsonl", ["one", "two", "three"]), tmp_path / "out"
    with pytest.raises(InputError, match="line 3"):
        await run_after_change(
            path, out, service, lambda path: path.write_text(path.read_text().replace('{"text": "three', "[broken]{three3"))
        )
    assert [row["id"] for row in read_table(out)["part-00000.parquet"]] == ["a/0000", "a/0001"]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".txt"])
async def test_rows_added_during_a_run_are_not_scored(tmp_path: Path, service: FakeClassifier, suffix: str) -> None:
    path, out = write_texts(tmp_path / f"a{suffix}", ["one", "two"]), tmp_path / "out"
    old = path.read_bytes()
    added = write_texts(tmp_path / f"b{suffix}", ["three"]).read_bytes()
    pipeline = await run_after_change(path, out, service, lambda path: path.write_bytes(old + b"\n\n" + added))
    assert [row["id"] for row in read_table(out)["part-00000.parquet"]] == ["a/0000", "a/0001"]
    manifest = json.loads((out / "_run.json").read_text())
    assert (manifest["complete"], manifest["sources"][0]["sha256"]) == (True, sha256(old).hexdigest())
    assert pipeline.grown == [str(path)]


async def test_input_rewritten_during_a_run_is_an_error(tmp_path: Path, service: FakeClassifier) -> None:
    for number, change in enumerate(
        (
            lambda path: path.write_text(path.read_text().replace("two", "TWO")),
            lambda path: path.write_text(path.read_text()[:-1]),
            lambda path: path.write_text(""),
        )
    ):
        path, out = write_texts(tmp_path / "a.jsonl", ["one", "two"]), tmp_path / str(number)
        with pytest.raises(InputError, match="has changed since the run began"):
            await run_after_change(path, out, service, change)
        assert json.loads((out / "_run.json").read_text())["complete"] is False


async def test_parquet_file_replaced_before_it_is_scored_is_an_error(tmp_path: Path, service: FakeClassifier) -> None:
    path, out = write_texts(tmp_path / "a.parquet", ["one", "two"]), tmp_path / "out"
    with pytest.raises(InputError, match="has changed since it was first read"):
        await run_after_change(path, out, service, lambda path: write_texts(path, ["one", "two", "three"]))
    assert json.loads((out / "_run.json").read_text())["complete"] is False
    assert service.paragraphs() == []


def test_parquet_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = write_texts(tmp_path / "a.parquet", ["one", "two"])
    paragraphs = find_inputs([str(path)], ReadOptions()).paragraphs()
    assert next(paragraphs).text == "one"
    write_texts(tmp_path / "new.parquet", ["one", "two", "three"]).replace(path)
    with pytest.raises(InputError, match="has changed since it was first read"):
        list(paragraphs)
