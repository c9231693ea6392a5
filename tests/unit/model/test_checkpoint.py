"""Reading and writing of checkpoints, and the errors of damaged files."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from undertone_model.architecture import Activation
from undertone_model.bases import BASE_PACKAGE
from undertone_model.checkpoint import find_base, load_checkpoint, save_checkpoint
from undertone_model.errors import CheckpointError
from undertone_model.labels import ProblemType
from undertone_model.tensors import file_sha256
from undertone_model.testing import tiny_checkpoint


@pytest.fixture
def damage(broken: Path) -> Callable[..., None]:
    """Changes tensors of the broken checkpoint. None removes a tensor."""

    def change(**changes: np.ndarray[Any, Any] | None) -> None:
        tensors: dict[str, Any] = load_file(broken / "model.safetensors") | changes
        save_file({name: array for name, array in tensors.items() if array is not None}, broken / "model.safetensors")

    return change


def test_saved_checkpoint_loads(tiny: Path, tmp_path: Path) -> None:
    first = load_checkpoint(tiny)
    save_checkpoint(tmp_path / "again", first)
    again = load_checkpoint(tmp_path / "again")
    assert again.architecture == first.architecture
    assert again.labels == first.labels
    assert again.weights.keys() == first.weights.keys()
    assert all(np.array_equal(again.weights[name], array) for name, array in first.weights.items())
    assert again.tokenizer.to_str() == first.tokenizer.to_str()
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()


@pytest.mark.parametrize("activation", get_args(Activation))
def test_saved_checkpoint_keeps_its_activation(tiny: Path, tmp_path: Path, activation: Activation) -> None:
    checkpoint = load_checkpoint(tiny)
    architecture = replace(checkpoint.architecture, activation=activation)
    save_checkpoint(tmp_path, replace(checkpoint, architecture=architecture))
    assert load_checkpoint(tmp_path).architecture == architecture


def test_checkpoint_of_another_family_is_not_written(tiny: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(tiny)
    other = replace(checkpoint, architecture=replace(checkpoint.architecture, family="roberta"))
    with pytest.raises(CheckpointError, match="cannot write a checkpoint of the family roberta: use a base of the family bert"):
        save_checkpoint(tmp_path / "merged", other)
    assert not (tmp_path / "merged").exists()


def test_seed_determines_the_tiny_checkpoint(tmp_path: Path) -> None:
    first, same, other = (
        tiny_checkpoint(tmp_path / str(seed) / name, seed=seed) for seed, name in ((0, "a"), (0, "b"), (1, "c"))
    )
    assert file_sha256(first / "model.safetensors") == file_sha256(same / "model.safetensors")
    assert file_sha256(first / "model.safetensors") != file_sha256(other / "model.safetensors")


@pytest.mark.parametrize("problem_type", [None, "single-label", "multi-label"])
def test_problem_type_of_a_saved_checkpoint_is_read(tmp_path: Path, problem_type: ProblemType | None) -> None:
    assert load_checkpoint(tiny_checkpoint(tmp_path, problem_type=problem_type)).problem_type == problem_type


def test_encoder_without_head_has_no_labels(broken: Path, damage: Callable[..., None]) -> None:
    damage(**{"classifier.weight": None, "classifier.bias": None})
    assert load_checkpoint(broken).labels == ()


def test_tensors_of_a_bert_model_have_no_prefix(broken: Path, damage: Callable[..., None]) -> None:
    tensors = load_file(broken / "model.safetensors")
    damage(
        **dict.fromkeys(tensors),
        **{name.removeprefix("bert."): array for name, array in tensors.items() if "bert." in name},
    )
    assert load_checkpoint(broken).architecture.num_hidden_layers == 2


def test_half_precision_is_converted_to_float32(broken: Path, damage: Callable[..., None]) -> None:
    damage(**{"bert.pooler.dense.bias": np.full(32, 0.5, np.float16)})
    bias = load_checkpoint(broken).weights["pooler.dense.bias"]
    assert bias.dtype == np.float32
    assert bias.tolist() == [0.5] * 32


def test_position_ids_of_older_checkpoints_are_ignored(broken: Path, damage: Callable[..., None]) -> None:
    damage(**{"bert.embeddings.position_ids": np.arange(64)[None]})
    assert "embeddings.position_ids" not in load_checkpoint(broken).weights


def test_padding_and_truncation_of_the_tokenizer_are_disabled(broken: Path) -> None:
    tokenizer = load_checkpoint(broken).tokenizer
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(128)
    tokenizer.save(str(broken / "tokenizer.json"))
    assert len(load_checkpoint(broken).tokenizer.encode("the sea").ids) == 4


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_error_names_a_missing_file(broken: Path, name: str) -> None:
    (broken / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{name} does not exist"):
        load_checkpoint(broken)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_error_names_a_truncated_file(broken: Path, name: str, share: float) -> None:
    content = (broken / name).read_bytes()
    (broken / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=rf"{name} is damaged: ."):
        load_checkpoint(broken)


@pytest.mark.parametrize("content", ["model_type: bert", "[1, 2]", '"bert"', "null", "\xff\xfe"])
def test_configuration_must_be_a_json_object(broken: Path, content: str) -> None:
    (broken / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"config\.json is damaged"):
        load_checkpoint(broken)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model_type": "gpt2"}, "model_type is 'gpt2'; use a model of one of these families: bert"),
        ({"model_type": None}, "model_type is None; use a model of one of these families: bert"),
        ({"hidden_act": "gelu_10"}, "hidden_act is 'gelu_10'; only 'gelu' or"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"problem_type": "regression"}, "problem_type is 'regression'; train a classifier, with one of single_label"),
        ({"is_decoder": True}, "is_decoder is True"),
        ({"hidden_size": "32"}, "hidden_size is '32', expected a positive integer"),
        ({"num_hidden_layers": 2.0}, "num_hidden_layers is 2.0, expected a positive integer"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True, expected a positive integer"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0, expected a positive integer"),
        ({"num_attention_heads": 5}, "hidden_size 32 is not a multiple of 5 attention heads"),
        ({"layer_norm_eps": [1]}, "layer_norm_eps is [1], expected a positive number"),
        ({"id2label": {"0": "joy"}}, "id2label has the keys 0, but the head has 9 labels"),
    ],
)
def test_unsupported_configuration_is_refused(
    broken: Path, edit: Callable[..., None], fields: dict[str, Any], reason: str
) -> None:
    edit(broken / "config.json", **fields)
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(broken)
    assert f"{broken / 'config.json'}: {reason}" in str(error.value)


def test_model_of_another_task_may_be_a_base_but_not_a_classifier(broken: Path, edit: Callable[..., None]) -> None:
    edit(broken / "config.json", architectures=["BertForTokenClassification"])
    assert load_checkpoint(broken).labels
    with pytest.raises(CheckpointError, match="the model is a BertForTokenClassification; an export needs"):
        load_checkpoint(broken, classifier=True)


@pytest.mark.parametrize(
    ("tensor", "array", "reason"),
    [
        ("bert.pooler.dense.weight", None, "has no tensor bert.pooler.dense.weight"),
        ("bert.encoder.layer.1.output.LayerNorm.bias", None, "has no tensor bert.encoder.layer.1.output.LayerNorm.bias"),
        (
            "bert.pooler.dense.weight",
            np.zeros((32, 31), np.float32),
            "pooler.dense.weight has the shape [32, 31], but config.json describes [32, 32]",
        ),
        ("classifier.bias", None, "has no tensor classifier.bias"),
        ("classifier.weight", None, "has no tensor classifier.weight"),
        (
            "classifier.weight",
            np.zeros((9, 8), np.float32),
            "classifier.weight has the shape [9, 8], but config.json describes [9, 32]",
        ),
        ("classifier.weight", np.array(1, np.float32), "classifier.weight has the shape [], but config.json describes [9, 32]"),
        (
            "classifier.bias",
            np.zeros((9, 2), np.float32),
            "classifier.bias has the shape [9, 2], but config.json describes [9]",
        ),
        (
            "bert.pooler.dense.bias",
            np.zeros(32, np.int8),
            "bert.pooler.dense.bias has the unsupported dtype I8; save the model in one of BF16, F16, F32, F64",
        ),
    ],
)
def test_tensor_of_the_wrong_shape_or_dtype_is_refused(
    broken: Path, damage: Callable[..., None], tensor: str, array: Any, reason: str
) -> None:
    damage(**{tensor: array})
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(broken)
    assert str(error.value).startswith(str(broken))
    assert reason in str(error.value)


def test_tokenizer_with_more_tokens_than_the_model_is_refused(broken: Path) -> None:
    tokenizer = load_checkpoint(broken).tokenizer
    tokenizer.add_tokens(["undertone"])
    tokenizer.save(str(broken / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json has the token id 112 but the model has 112 tokens"):
        load_checkpoint(broken)


def test_error_names_a_folder_that_cannot_be_written(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot write .*file: File exists"):
        save_checkpoint(tmp_path / "file", load_checkpoint(tiny))


def test_packaged_base_loads() -> None:
    checkpoint = load_checkpoint(find_base(None))
    assert (checkpoint.architecture.num_hidden_layers, checkpoint.architecture.hidden_size) == (6, 384)
    assert len(checkpoint.tokenizer.encode("word " * 400).ids) == 402


def test_packaged_weights_with_another_hash_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / BASE_PACKAGE
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match=r"model\.safetensors has the SHA-256 d9298a10.*, expected 53aa5117.*; reinstall"):
        find_base(None)


def test_base_may_be_a_folder(tiny: Path) -> None:
    assert find_base(str(tiny)) == tiny


@pytest.mark.parametrize("base", ["nonsense", "/no/such/folder", "./missing/model", "~/bert", "a/b/c", ""])
def test_base_must_be_a_folder_or_a_hub_id(base: str) -> None:
    with pytest.raises(
        CheckpointError, match="is invalid: use an existing folder, a hub id of the form owner/name, or all-mpnet-base-v2"
    ) as error:
        find_base(base)
    assert f"--base {base!r}" in str(error.value)


def test_base_may_be_a_hub_id(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The cache has the layout of huggingface_hub, whose code finds the files without a connection.
    commit = "0" * 40
    repository = tmp_path / "models--owner--name"
    shutil.copytree(tiny, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    folder = find_base("owner/name")
    assert load_checkpoint(folder).architecture == load_checkpoint(tiny).architecture


def test_failed_download_of_the_base_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="cannot download --base owner/missing from the hub"):
        find_base("owner/missing")
