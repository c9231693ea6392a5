"""Adapters come back as they were saved, in half precision, and do not load when they are not what they say."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from undertone_model import adapters as adapter_files
from undertone_model import goldens as golden_files
from undertone_model.adapters import Calibration
from undertone_model.checkpoint import BASE_SHA256
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import CheckpointError


@pytest.fixture
def saved(tiny_adapters: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_adapters, tmp_path / "saved"))


def test_what_is_saved_is_loaded_in_half_precision(saved: Path, tmp_path: Path) -> None:
    first = adapter_files.load(saved)
    adapter_files.save(tmp_path / "again", first)
    again = adapter_files.load(tmp_path / "again")
    assert replace(again, tensors={}) == replace(first, tensors={})
    assert again.priors["stories"] == Calibration(1.5, -0.75)
    assert again.labels == EMOTIONS
    for name, array in first.tensors.items():
        assert array.dtype == np.float32
        assert np.array_equal(again.tensors[name], array)


def test_what_is_measured_is_what_is_stored() -> None:
    exact = {"classifier.bias": np.array([1 / 3, 1e-3], np.float32)}
    _, rounded = adapter_files.half(exact)
    again, twice = adapter_files.half(rounded)
    assert rounded["classifier.bias"] == pytest.approx(exact["classifier.bias"], rel=1e-3)
    assert again == adapter_files.half(twice)[0]
    assert np.array_equal(twice["classifier.bias"], rounded["classifier.bias"])


def test_merging_adds_the_product_and_replaces_the_rest() -> None:
    base = {"a.weight": np.ones((2, 3), np.float32), "a.bias": np.zeros(2, np.float32), "b.weight": np.ones(1, np.float32)}
    adapters = {
        "a.lora_A": np.array([[1, 2, 3]], np.float32),
        "a.lora_B": np.array([[1], [-1]], np.float32),
        "a.bias": np.array([5, 6], np.float32),
        "classifier.bias": np.array([7], np.float32),
    }
    merged = adapter_files.merge(base, adapters)
    assert {name: array.tolist() for name, array in merged.items()} == {
        "a.weight": [[2, 3, 4], [0, -1, -2]],
        "a.bias": [5, 6],
        "b.weight": [1],
        "classifier.bias": [7],
    }
    assert base["a.weight"].tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize("name", [adapter_files.TENSORS, adapter_files.RECORD])
def test_a_missing_file_says_what_writes_it(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{name} does not exist; `undertone-model train` writes it"):
        adapter_files.load(saved)


def test_tensors_of_another_record_are_refused(saved: Path) -> None:
    content, _ = adapter_files.half({"classifier.bias": np.zeros(9, np.float32)})
    (saved / adapter_files.TENSORS).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"adapters\.safetensors has the SHA-256 \w{64}, adapters\.json says \w{64}"):
        adapter_files.load(saved)


@pytest.mark.parametrize("name", [adapter_files.TENSORS, adapter_files.RECORD])
def test_a_truncated_file_is_damaged(saved: Path, name: str) -> None:
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="adapters are damaged"):
        adapter_files.load(saved)


@pytest.mark.parametrize(
    "fields",
    [
        {"labels": None},
        {"priors": [1]},
        {"priors": {"stories": {"heat": 1}}},
        {"scores": [{"data": "x"}]},
        {"training_data": 3},
    ],
)
def test_a_record_that_is_not_one_is_damaged(saved: Path, edit: Callable[..., None], fields: dict[str, Any]) -> None:
    edit(saved / adapter_files.RECORD, **fields)
    with pytest.raises(CheckpointError, match="adapters are damaged"):
        adapter_files.load(saved)


def test_a_folder_that_cannot_be_written_is_named(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"file cannot be written: File exists"):
        adapter_files.save(tmp_path / "file", adapter_files.load(saved))


def test_the_committed_ones_are_small_whole_and_of_the_packaged_base() -> None:
    files = list(adapter_files.COMMITTED.iterdir())
    assert sum(file.stat().st_size for file in files) <= 5_000_000
    committed = adapter_files.load()
    assert committed.base_sha256 == BASE_SHA256
    assert committed.labels == EMOTIONS
    assert committed.priors.keys() == {"comments", "stories"}
    assert {data.name for data in committed.training_data} == {"goemotions/train", "stories/train"}


def test_the_committed_goldens_are_of_the_committed_adapters() -> None:
    goldens = golden_files.committed(adapter_files.load().sha256)
    assert goldens is not None
    assert goldens.logits.shape == (len(goldens.input_ids), len(EMOTIONS))


def test_the_committed_scores_are_good_enough() -> None:
    scores = {(score.data, score.metric): score.value for score in adapter_files.load().scores}
    assert scores["goemotions/test@comments", "accuracy"] >= 0.69
    assert scores["goemotions/test@comments", "macro_f1"] >= 0.63
    assert scores["goemotions/test@comments", "expected_calibration_error"] <= 0.03
    assert scores["stories/test@stories", "macro_f1"] >= 0.6
