"""The tiny model as a checkpoint, as an export and as adapters."""

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    # TensorFlow's modules raise warnings about their own imports.
    warnings.simplefilter("ignore")
    from undertone_model import training  # noqa: F401 - imports TensorFlow and Keras

from undertone_model.adapters import Adapters, Score, TrainingData, save_adapters
from undertone_model.calibration import Calibration
from undertone_model.checkpoint import load_checkpoint
from undertone_model.data import Sample
from undertone_model.emotions import EMOTIONS
from undertone_model.export import export
from undertone_model.goldens import Goldens, load_goldens
from undertone_model.sources import Source, from_checkpoint
from undertone_model.tensors import file_sha256
from undertone_model.testing import tiny_checkpoint, tiny_multi_label_export

from tests.unit.support.graphs import GraphSession

GOLDENS = Path(__file__).parent / "goldens" / "tiny.json"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a BertForSequenceClassification with two layers and random weights. Do not
    modify it.
    """
    return tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def broken(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint that a test may damage."""
    return Path(shutil.copytree(tiny, tmp_path / "broken"))


@pytest.fixture(scope="session")
def tiny_goldens() -> Goldens:
    """Golden outputs of the tiny checkpoint."""
    return load_goldens(GOLDENS)


@pytest.fixture(scope="session")
def exported(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of the tiny checkpoint as version 1. Do not modify it."""
    return export(from_checkpoint(tiny), tmp_path_factory.mktemp("models"), "tiny")


@pytest.fixture
def export_copy(exported: Path, tmp_path: Path) -> Path:
    """A copy of the export that a test may damage."""
    return Path(shutil.copytree(exported, tmp_path / "tiny" / exported.name))


@pytest.fixture(scope="session")
def multi_label_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multi-label export with the weights of the tiny checkpoint. Do not modify it."""
    return tiny_multi_label_export(tmp_path_factory.mktemp("models"), thresholds=[0.1 * index for index in range(1, 10)])


@pytest.fixture(scope="session")
def sample() -> Sample:
    texts = ("the sea and the rain", "her letter waited", "laughed, wept", "the night door")
    return Sample("tales", "ab" * 32, texts)


@pytest.fixture(scope="session")
def smooth_source(tiny: Path) -> Source:
    """The tiny model with a high temperature. Its differences of probabilities are as small as
    those of a trained model.
    """
    return replace(from_checkpoint(tiny), temperature=8.0)


@pytest.fixture(scope="session")
def bf16_export(smooth_source: Source, sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of `smooth_source` in bf16. Do not modify it."""
    return export(smooth_source, tmp_path_factory.mktemp("models"), "tiny", precision="bf16", sample=sample)


@pytest.fixture(scope="session")
def tiny_adapters(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adapters of the tiny checkpoint that change its head and one layer. Do not modify them."""
    weights = load_checkpoint(tiny).weights
    random = np.random.default_rng(3)
    layer = "encoder.layer.1.intermediate.dense"
    tensors = {
        f"{layer}.lora_A": random.normal(0, 0.2, (4, 32)).astype(np.float32),
        f"{layer}.lora_B": random.normal(0, 0.2, (64, 4)).astype(np.float32),
        "classifier.weight": weights["classifier.weight"] + 0.25,
        "classifier.bias": weights["classifier.bias"] - 0.25,
    }
    adapters = Adapters(
        tensors=tensors,
        sha256="",
        base_sha256=file_sha256(tiny / "model.safetensors"),
        labels=EMOTIONS,
        recipe={"seed": 1},
        priors={"comments": Calibration(1.0, 0.0), "stories": Calibration(1.5, -0.75)},
        training_data=(TrainingData("stories/train", "Apache-2.0", 7, "ab" * 32),),
        scores=(Score("stories/test@comments", "accuracy", 0.25), Score("stories/test@stories", "accuracy", 0.5)),
    )
    folder = tmp_path_factory.mktemp("adapters")
    save_adapters(folder, adapters)
    return folder


@pytest.fixture
def edit() -> Callable[..., None]:
    """Changes fields of a JSON file. None removes a field."""

    def change(path: Path, **fields: Any) -> None:
        record = json.loads(path.read_text()) | fields
        path.write_text(json.dumps({key: value for key, value in record.items() if value is not None}))

    return change


@pytest.fixture(scope="module")
def run(exported: Path) -> Iterator[GraphSession]:
    """A session with the graph of the module's `exported`."""
    run = GraphSession(exported)
    yield run
    run.session.close()
