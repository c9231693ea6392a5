"""The whole of training: data in, adapters with calibration and scores out."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undertone_model import adapters as adapter_files
from undertone_model import checkpoint as checkpoints
from undertone_model import data, training
from undertone_model.adapters import Adapters, Calibration, TrainingData
from undertone_model.batches import encode
from undertone_model.calibration import calibrate, fit
from undertone_model.checkpoint import Checkpoint
from undertone_model.data import Dataset
from undertone_model.emotions import EMOTIONS
from undertone_model.evaluation import Evaluation, evaluate
from undertone_model.training import Progress, Recipe

#: What is asked of the model as it leaves training: nothing shifted, nothing scaled.
UNCALIBRATED = Calibration(temperature=1.0, neutral_bias=0.0)


@dataclass(frozen=True, slots=True)
class Corpora:
    """Folders of the two kinds of text: GoEmotions' TSV files, and our story paragraphs."""

    goemotions: Path
    stories: Path

    def of(self, split: data.Split) -> tuple[Dataset, Dataset]:
        """That split of both."""
        return data.goemotions(self.goemotions, split), data.stories(self.stories, split)


@dataclass(frozen=True, slots=True)
class Trained:
    """What training made, and how good it is on both test splits."""

    adapters: Adapters
    evaluations: tuple[Evaluation, ...]


def train(
    base: str | None, corpora: Corpora, recipe: Recipe, report: Callable[[Progress], None], *, stories: bool = True
) -> Trained:
    """Trains, rounds to what will be stored, fits a calibration for each kind of text, and scores the result.

    Without `stories` it learns from the comments alone; calibration and scores are of both kinds of text all the same.
    """
    folder = checkpoints.base_folder(base)
    checkpoint = checkpoints.load(folder)
    taught = corpora.of("train")[: 2 if stories else 1]
    tensors = training.train(
        checkpoint.weights,
        checkpoint.architecture,
        checkpoint.tokenizer,
        taught[0].examples,
        taught[1].examples if stories else (),
        recipe,
        report,
    )
    _, tensors = adapter_files.half(tensors)
    adapters = Adapters(
        tensors=tensors,
        sha256="",
        base_sha256=checkpoints.file_sha256(folder / "model.safetensors"),
        labels=EMOTIONS,
        recipe=asdict(recipe),
        priors={},
        training_data=tuple(
            TrainingData(dataset.name, dataset.license, len(dataset.examples), dataset.sha256) for dataset in taught
        ),
        scores=(),
    )
    adapters = replace(adapters, priors=_priors(checkpoint, adapters, corpora))
    found = tuple(evaluations(base, adapters, corpora))
    scores = tuple(score for evaluation in found for score in evaluation.scores())
    return Trained(replace(adapters, scores=scores), found)


def evaluations(base: str | None, adapters: Adapters, corpora: Corpora) -> Iterator[Evaluation]:
    """Quality on both test splits (rows of one emotion only), uncalibrated (`…@none`) and with each prior (`…@stories`)."""
    checkpoint = checkpoints.load(checkpoints.base_folder(base))
    for split in corpora.of("test"):
        dataset = split.singles()
        logits = predict(checkpoint, adapters, dataset)
        for name, calibration in {"none": UNCALIBRATED, **adapters.priors}.items():
            yield evaluate(f"{dataset.name}@{name}", calibrate(logits, calibration), dataset.labels())


def predict(checkpoint: Checkpoint, adapters: Adapters, dataset: Dataset) -> NDArray[np.float32]:
    """Logits [rows, labels] of a data set, texts cut to the positions that the model has."""
    ids = encode(
        checkpoint.tokenizer, [example.text for example in dataset.examples], checkpoint.architecture.max_position_embeddings
    )
    return training.predict(adapter_files.merge(checkpoint.weights, adapters.tensors), checkpoint.architecture, ids)


def _priors(checkpoint: Checkpoint, adapters: Adapters, corpora: Corpora) -> dict[str, Calibration]:
    found = dict(zip(("comments", "stories"), corpora.of("dev"), strict=True))
    singles = {name: dataset.singles() for name, dataset in found.items()}
    return {name: fit(predict(checkpoint, adapters, dataset), dataset.labels()) for name, dataset in singles.items()}
