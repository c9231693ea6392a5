"""The tiny model, once on disk, once exported."""

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    # TensorFlow's own modules warn of what they import; nothing here could act on it.
    warnings.simplefilter("ignore")
    from undertone_model import training  # noqa: F401 - all of TensorFlow and Keras

from undertone_model import adapters as adapter_files
from undertone_model import goldens as golden_files
from undertone_model.adapters import Adapters, Calibration, Score, TrainingData
from undertone_model.checkpoint import file_sha256, load
from undertone_model.emotions import EMOTIONS
from undertone_model.export import export
from undertone_model.goldens import Goldens
from undertone_model.sources import from_folder
from undertone_model.testing import tiny_checkpoint

GOLDENS = Path(__file__).parent / "goldens" / "tiny.json"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder: BertForSequenceClassification, two layers, random weights. Read only."""
    return tiny_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def broken(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, to damage."""
    return Path(shutil.copytree(tiny, tmp_path / "broken"))


@pytest.fixture(scope="session")
def tiny_goldens() -> Goldens:
    """What PyTorch answers for the tiny checkpoint."""
    return golden_files.load(GOLDENS)


@pytest.fixture(scope="session")
def exported(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of the tiny checkpoint, as version 1. Read only."""
    return export(from_folder(tiny), tmp_path_factory.mktemp("models"), "tiny")


@pytest.fixture
def export_copy(exported: Path, tmp_path: Path) -> Path:
    """A copy of the export, to damage."""
    return Path(shutil.copytree(exported, tmp_path / "tiny" / exported.name))


@pytest.fixture(scope="session")
def tiny_adapters(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of adapters for the tiny checkpoint that change its head and one layer, calibrated for stories. Read only."""
    weights = load(tiny).weights
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
    adapter_files.save(folder, adapters)
    return folder


@pytest.fixture
def edit() -> Callable[..., None]:
    """Changes fields of a JSON file; None removes one."""

    def change(path: Path, **fields: Any) -> None:
        record = json.loads(path.read_text()) | fields
        path.write_text(json.dumps({key: value for key, value in record.items() if value is not None}))

    return change
