"""Weight files of a checkpoint: one or several parts, dtypes, and formats that are refused."""

import json
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from undertone_model.checkpoint import load_checkpoint
from undertone_model.errors import CheckpointError
from undertone_model.tensors import file_sha256, read_tensors, weights_sha256


@pytest.fixture
def parts(broken: Path) -> Path:
    """The tiny checkpoint with its weights in two parts."""
    tensors = load_file(broken / "model.safetensors")
    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, broken / file)
        weight_map |= dict.fromkeys(part, file)
    (broken / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (broken / "model.safetensors").unlink()
    return broken


def test_parts_have_the_weights_of_the_whole(tiny: Path, parts: Path) -> None:
    whole, joined = read_tensors(tiny), read_tensors(parts)
    assert joined.keys() == whole.keys()
    assert all(np.array_equal(joined[name], array) for name, array in whole.items())


def test_hash_of_parts_covers_all_parts(tiny: Path, parts: Path) -> None:
    before = weights_sha256(parts)
    second = parts / "model-00002-of-00002.safetensors"
    save_file(load_file(second) | {"classifier.weight": np.ones((9, 32), np.float32)}, second)
    assert weights_sha256(parts) != before
    assert weights_sha256(tiny) == file_sha256(tiny / "model.safetensors")


def test_missing_part_is_named(parts: Path) -> None:
    (parts / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-00002-of-00002\.safetensors does not exist, but .* names it"):
        read_tensors(parts)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": {"a": 1}}', '{"weight_map": []}', '{"weight_map": {}}'])
def test_damaged_index_is_named(parts: Path, content: str) -> None:
    (parts / "model.safetensors.index.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors\.index\.json is damaged: ."):
        read_tensors(parts)


def test_bfloat16_is_read_exactly(broken: Path) -> None:
    array = np.array([[1.0, -2.5, 3.0e38], [0.0, 1e-38, -0.15625]], np.float32).astype(ml_dtypes.bfloat16)
    save_file({"dense.weight": array}, broken / "model.safetensors")
    weight = read_tensors(broken)["dense.weight"]
    assert weight.dtype == np.float32
    assert np.array_equal(weight, array.astype(np.float32))


def test_bfloat16_is_read_before_tensorflow_is_imported(broken: Path) -> None:
    save_file({"dense.bias": np.ones(2, ml_dtypes.bfloat16)}, broken / "model.safetensors")
    program = f"from pathlib import Path; from undertone_model.tensors import read_tensors; read_tensors(Path({str(broken)!r}))"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([], "model.safetensors does not exist; save the model with save_pretrained"),
        (["pytorch_model.bin"], "AutoModelForSequenceClassification.from_pretrained("),
        (["pytorch_model.bin.index.json"], "AutoModelForSequenceClassification.from_pretrained("),
    ],
)
def test_checkpoint_without_safetensors_is_refused_with_the_remedy(tmp_path: Path, files: list[str], reason: str) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(CheckpointError) as error:
        read_tensors(tmp_path)
    assert reason in str(error.value)


def test_adapter_of_peft_is_refused_with_the_remedy(tmp_path: Path) -> None:
    for name in ("adapter_config.json", "adapter_model.safetensors", "tokenizer.json"):
        (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=r"contains a PEFT adapter \(adapter_config\.json\).*merge_and_unload"):
        load_checkpoint(tmp_path)


def test_merged_model_beside_its_adapter_is_read(broken: Path) -> None:
    (broken / "adapter_config.json").touch()
    assert load_checkpoint(broken).labels


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e300])
def test_weights_that_are_not_finite_in_float32_are_refused(broken: Path, number: float) -> None:
    save_file({"dense.bias": np.array([0.0, number])}, broken / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: tensor dense\.bias has numbers that are NaN, infinite"):
        read_tensors(broken)
