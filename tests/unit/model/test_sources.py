"""Sources of an export: adapters, checkpoints and random weights."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from undertone_model import sources
from undertone_model.checkpoint import find_base
from undertone_model.errors import CheckpointError
from undertone_model.testing import tiny_checkpoint


def test_adapters_of_another_base_are_refused(tiny_adapters: Path, tmp_path: Path) -> None:
    other = tiny_checkpoint(tmp_path / "other", seed=1)
    with pytest.raises(CheckpointError, match=r"the adapters were not trained on .*other"):
        sources.from_adapters(str(other), "stories", tiny_adapters)


def test_unknown_prior_is_refused(tiny: Path, tiny_adapters: Path) -> None:
    with pytest.raises(CheckpointError, match=r"--prior 'poems' is invalid: the adapters in .* have comments, stories"):
        sources.from_adapters(str(tiny), "poems", tiny_adapters)


def test_checkpoint_without_head_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"config\.json: the model is a BertModel; an export needs a BertForSeq"):
        sources.from_checkpoint(find_base(None))


def test_head_is_missed_if_the_configuration_does_not_name_the_model(
    tiny: Path, tmp_path: Path, edit: Callable[..., None]
) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "encoder"))
    edit(folder / "config.json", architectures=None)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: array for name, array in tensors.items() if "classifier" not in name}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="has no classification head; an export needs a model that was fine-tuned"):
        sources.from_checkpoint(folder)


def test_random_weights_have_the_right_shapes_and_no_zero_biases() -> None:
    source = sources.random_weights("minilm")
    weights = source.checkpoint.weights
    shapes = source.checkpoint.architecture.weight_shapes()
    assert {name: weights[name].shape for name in shapes} == shapes
    assert len(source.checkpoint.labels) == 9
    assert source.weights_sha256 == ""
    assert all(np.any(array) for name, array in weights.items() if name.endswith(".bias"))
    assert weights["embeddings.LayerNorm.weight"].mean() == pytest.approx(1, abs=0.01)


def test_sizes_have_the_published_numbers_of_parameters() -> None:
    millions = {name: size.encoder_parameters() / 1e6 for name, size in sources.ARCHITECTURES.items()}
    assert millions == {
        "minilm": pytest.approx(10.6, abs=0.1),
        "bert-large": pytest.approx(302.0, abs=0.1),
        "distilbert-base": pytest.approx(42.5, abs=0.1),
        "deberta-v3-base": pytest.approx(84.9, abs=0.1),
        "modernbert-base": pytest.approx(110.3, abs=0.1),
        **dict.fromkeys(("bert-base", "roberta-base", "electra-base", "mpnet-base"), pytest.approx(84.9, abs=0.1)),
    }
