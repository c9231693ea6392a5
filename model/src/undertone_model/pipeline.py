"""The training pipeline: from data sets to adapters with calibrations and scores."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undertone_model import training
from undertone_model.adapters import Adapters, TrainingData, merge_adapters, round_to_half
from undertone_model.batches import encode
from undertone_model.calibration import Calibration, fit_calibration
from undertone_model.checkpoint import Checkpoint, find_base, load_checkpoint
from undertone_model.data import Dataset, Split, load_goemotions, load_stories
from undertone_model.emotions import EMOTIONS
from undertone_model.metrics import Evaluation, evaluate
from undertone_model.special_tokens import served_tokenizer
from undertone_model.tensors import weights_sha256
from undertone_model.training import Progress, Recipe

UNCALIBRATED = Calibration(temperature=1.0, neutral_bias=0.0)


@dataclass(frozen=True, slots=True)
class Corpora:
    """Folders of the two kinds of text: the TSV files of GoEmotions, and our story paragraphs."""

    goemotions: Path
    stories: Path

    def load(self, split: Split) -> tuple[Dataset, Dataset]:
        """The split of GoEmotions and of the stories."""
        return load_goemotions(self.goemotions, split), load_stories(self.stories, split)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Trained adapters and their quality on both test splits."""

    adapters: Adapters
    evaluations: tuple[Evaluation, ...]


def train(
    base: str | None, corpora: Corpora, recipe: Recipe, report: Callable[[Progress], None], *, stories: bool = True
) -> TrainingResult:
    """Trains, rounds to half precision, fits a calibration for each kind of text, and evaluates.

    Without `stories`, only the comments of GoEmotions are trained on. Calibrations and scores
    always include both kinds of text.
    """
    folder = find_base(base)
    checkpoint = load_checkpoint(folder)
    datasets = corpora.load("train")[: 2 if stories else 1]
    tensors = training.train(
        checkpoint.weights,
        checkpoint.architecture,
        served_tokenizer(checkpoint.tokenizer),
        datasets[0].examples,
        datasets[1].examples if stories else (),
        recipe,
        report,
    )
    _, tensors = round_to_half(tensors)
    adapters = Adapters(
        tensors=tensors,
        sha256="",
        base_sha256=weights_sha256(folder),
        labels=EMOTIONS,
        recipe=asdict(recipe),
        priors={},
        training_data=tuple(
            TrainingData(dataset.name, dataset.license, len(dataset.examples), dataset.sha256) for dataset in datasets
        ),
        scores=(),
    )
    adapters = replace(adapters, priors=_fit_priors(checkpoint, adapters, corpora))
    evaluations = tuple(evaluate_adapters(base, adapters, corpora))
    scores = tuple(score for evaluation in evaluations for score in evaluation.scores())
    return TrainingResult(replace(adapters, scores=scores), evaluations)


def evaluate_adapters(base: str | None, adapters: Adapters, corpora: Corpora) -> Iterator[Evaluation]:
    """Evaluates both test splits, with examples of a single emotion only.

    The names of the evaluations end in `@none` without calibration, else in the prior (`@stories`).
    """
    checkpoint = load_checkpoint(find_base(base))
    for split in corpora.load("test"):
        dataset = split.with_single_emotion()
        logits = _predict_logits(checkpoint, adapters, dataset)
        for name, calibration in {"none": UNCALIBRATED, **adapters.priors}.items():
            yield evaluate(f"{dataset.name}@{name}", calibration.probabilities(logits), dataset.labels())


def _predict_logits(checkpoint: Checkpoint, adapters: Adapters, dataset: Dataset) -> NDArray[np.float32]:
    """Logits [rows, labels] of a data set. Texts are truncated to the number of positions of the
    model.
    """
    texts = [example.text for example in dataset.examples]
    ids = encode(served_tokenizer(checkpoint.tokenizer), texts, checkpoint.architecture.max_tokens)
    return training.predict_logits(merge_adapters(checkpoint.weights, adapters.tensors), checkpoint.architecture, ids)


def _fit_priors(checkpoint: Checkpoint, adapters: Adapters, corpora: Corpora) -> dict[str, Calibration]:
    """A calibration for each kind of text, fitted on its dev split."""
    priors = {}
    for name, split in zip(("comments", "stories"), corpora.load("dev"), strict=True):
        dataset = split.with_single_emotion()
        priors[name] = fit_calibration(_predict_logits(checkpoint, adapters, dataset), dataset.labels())
    return priors
