"""The training pipeline: from data sets to adapters with calibrations and scores."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undertone_model import second_stage, training, upper_layers
from undertone_model.adapters import Adapters, Score, TrainingData, load_adapters, merge_adapters, round_to_half
from undertone_model.arrays import NamedArrays
from undertone_model.batches import encode
from undertone_model.calibration import UNCALIBRATED, Calibration, fit_calibration
from undertone_model.checkpoint import Checkpoint, find_base, load_checkpoint
from undertone_model.data import Dataset
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import CheckpointError
from undertone_model.metrics import Evaluation, evaluate
from undertone_model.optimization import Progress
from undertone_model.second_stage import SecondStage
from undertone_model.serving import matrix_dtype
from undertone_model.special_tokens import served_tokenizer
from undertone_model.tensors import weights_sha256
from undertone_model.training import Recipe
from undertone_model.training_sets import TrainingSets, soften
from undertone_model.upper_layers import UpperLayers

PRIORS: Mapping[str, tuple[str, ...]] = {
    "comments": ("goemotions",),
    "stories": ("stories",),
    "novels": ("subtitles", "fiction", "stories"),
}
"""Data sets whose dev splits fit the calibration of each kind of text. All have equal weights.

REMAN has too few dev rows to fit a calibration for novels: they confirm it.
"""

NOT_EVALUATED = ("passages",)
"""Data sets without a label of the whole text."""

UPPER_LAYERS_DEV = ("stories", "fiction", "short_texts", "sentences", "subtitles")
"""Data sets whose dev splits are scored during the training of upper layers."""

LARGE_ROWS = 1000
"""Largest number of rows of a split that the large model is calibrated and evaluated with. They are
the first rows, and all of most data sets.
"""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Trained adapters and their quality on the test splits."""

    adapters: Adapters
    evaluations: tuple[Evaluation, ...]


def train(
    base: str | None,
    sets: TrainingSets,
    first: Recipe,
    second: SecondStage | None,
    report: Callable[[Progress], None],
    *,
    start: Path | None = None,
    stories: bool = True,
    checkpoint: Callable[[Adapters], None] = lambda adapters: None,
) -> TrainingResult:
    """Trains, rounds to half precision, fits a calibration for each kind of text, and evaluates.

    Without `second`, only the first stage is trained: comments and, unless `stories` is false,
    story paragraphs. With `start`, the first stage is not trained: the second continues with the
    adapters in that folder, whose base must be the same. `checkpoint` receives adapters of the
    second stage from time to time, without calibrations and scores.
    Raises CheckpointError and DataError.
    """
    folder = find_base(base)
    encoder = load_checkpoint(folder)
    datasets = sets.load("train")
    if start:
        adapters = load_adapters(start)
        if adapters.base_sha256 != weights_sha256(folder):
            raise CheckpointError(
                f"the adapters in {start} belong to another base encoder, with the SHA-256 {adapters.base_sha256}"
            )
    else:
        adapters = _first_stage(folder, encoder, datasets, first, report, stories=stories)
    if second:
        adapters = _second_stage(encoder, adapters, datasets, second, report, checkpoint)
    return _calibrated(base, encoder, adapters, sets)


def train_upper_layers(
    base: str | None,
    sets: TrainingSets,
    recipe: UpperLayers,
    report: Callable[[Progress], None],
    checkpoint: Callable[[Adapters], None] = lambda adapters: None,
) -> TrainingResult:
    """As `train`, but in one stage with all data sets, and without changes of the lower layers.

    Calibrations and scores are those of an export in bf16, with at most LARGE_ROWS rows. The
    adapters that `checkpoint` receives have scores of dev splits; the last are those of the result.
    """
    folder = find_base(base)
    encoder = load_checkpoint(folder)
    datasets, dev = sets.load("train"), sets.load("dev")

    def adapters(tensors: NamedArrays) -> Adapters:
        return _adapters(folder, tensors, asdict(recipe), datasets.values())

    def dev_scores(scores: Mapping[str, float]) -> tuple[Score, ...]:
        return tuple(Score(dev[name].name, "macro_f1", round(value, 4)) for name, value in scores.items())

    tensors = upper_layers.train(
        encoder.weights,
        encoder.architecture,
        served_tokenizer(encoder.tokenizer),
        {name: dataset.examples for name, dataset in datasets.items()},
        recipe,
        report,
        lambda tensors, scores: checkpoint(replace(adapters(tensors), scores=dev_scores(scores))),
        dev={name: examples for name in UPPER_LAYERS_DEV if (examples := dev[name].with_main_emotion().examples)},
    )
    trained = adapters(tensors)
    checkpoint(trained)
    return _calibrated(base, encoder, trained, sets, large=True)


def _calibrated(
    base: str | None, encoder: Checkpoint, adapters: Adapters, sets: TrainingSets, *, large: bool = False
) -> TrainingResult:
    """The adapters with a calibration for each kind of text, and their scores."""
    adapters = replace(adapters, priors=_fit_priors(encoder, adapters, sets, large=large))
    evaluations = tuple(evaluate_adapters(base, adapters, sets, large=large))
    scores = tuple(score for evaluation in evaluations for score in evaluation.scores())
    return TrainingResult(replace(adapters, scores=scores), evaluations)


def evaluate_adapters(base: str | None, adapters: Adapters, sets: TrainingSets, *, large: bool = False) -> Iterator[Evaluation]:
    """Evaluates the test splits, with examples of a single emotion only.

    With `large`, products are in bf16, and a split has at most LARGE_ROWS rows. The names of the
    evaluations end in `@none` without calibration, else in the prior (`@stories`).
    """
    encoder = load_checkpoint(find_base(base))
    for name, split in sets.load("test").items():
        dataset = _measured(split, large=large)
        if name in NOT_EVALUATED or not dataset.examples:
            continue
        logits = _predict_logits(encoder, adapters.tensors, dataset, large=large)
        for prior, calibration in {"none": UNCALIBRATED, **adapters.priors}.items():
            yield evaluate(f"{dataset.name}@{prior}", calibration.probabilities(logits), dataset.labels())


def _first_stage(
    folder: Path,
    encoder: Checkpoint,
    datasets: Mapping[str, Dataset],
    recipe: Recipe,
    report: Callable[[Progress], None],
    *,
    stories: bool,
) -> Adapters:
    used = [datasets["goemotions"], *([datasets["stories"]] if stories else [])]
    tensors = training.train(
        encoder.weights,
        encoder.architecture,
        served_tokenizer(encoder.tokenizer),
        used[0].examples,
        used[1].examples if stories else (),
        recipe,
        report,
    )
    return _adapters(folder, tensors, asdict(recipe), used)


def _adapters(folder: Path, tensors: NamedArrays, recipe: Mapping[str, float], used: Iterable[Dataset]) -> Adapters:
    """Adapters of the base in `folder` without calibrations and scores."""
    return Adapters(
        tensors=round_to_half(tensors)[1],
        sha256="",
        base_sha256=weights_sha256(folder),
        labels=EMOTIONS,
        recipe=recipe,
        priors={},
        training_data=tuple(map(_training_data, used)),
        scores=(),
    )


def _second_stage(
    encoder: Checkpoint,
    start: Adapters,
    datasets: Mapping[str, Dataset],
    recipe: SecondStage,
    report: Callable[[Progress], None],
    checkpoint: Callable[[Adapters], None],
) -> Adapters:
    used = {data.name: data for data in (*start.training_data, *map(_training_data, datasets.values()))}
    values = {name: value for name, value in start.recipe.items() if not name.startswith("second_stage.")}
    values |= {f"second_stage.{name}": value for name, value in asdict(recipe).items()}
    record = replace(start, sha256="", recipe=values, priors={}, training_data=tuple(used.values()), scores=())

    def adapters(tensors: NamedArrays) -> Adapters:
        return replace(record, tensors=round_to_half(tensors)[1])

    if recipe.retention:
        answers = UNCALIBRATED.probabilities(_predict_logits(encoder, start.tensors, datasets["goemotions"]))
        datasets = {**datasets, "goemotions": soften(datasets["goemotions"], answers, recipe.retention)}
    tensors = second_stage.train(
        encoder.weights,
        encoder.architecture,
        served_tokenizer(encoder.tokenizer),
        start.tensors,
        {name: dataset.examples for name, dataset in datasets.items()},
        recipe,
        report,
        lambda tensors: checkpoint(adapters(tensors)),
    )
    return adapters(tensors)


def _training_data(dataset: Dataset) -> TrainingData:
    return TrainingData(dataset.name, dataset.license, len(dataset.examples), dataset.sha256)


def _measured(split: Dataset, *, large: bool) -> Dataset:
    """The rows of a split that have a main emotion, at most LARGE_ROWS for the large model."""
    dataset = split.with_main_emotion()
    return replace(dataset, examples=dataset.examples[:LARGE_ROWS]) if large else dataset


def _predict_logits(encoder: Checkpoint, tensors: NamedArrays, dataset: Dataset, *, large: bool = False) -> NDArray[np.float32]:
    """Logits [rows, labels] of a data set. Texts are truncated to the number of positions of the
    model. For the large model, the weights are rounded as in an export in bf16.
    """
    texts = [example.text for example in dataset.examples]
    ids = encode(served_tokenizer(encoder.tokenizer), texts, encoder.architecture.max_tokens)
    weights = merge_adapters(encoder.weights, tensors)
    if large:
        weights = {
            name: array.astype(matrix_dtype(name).as_numpy_dtype) if array.ndim > 1 else array
            for name, array in weights.items()
        }
    return training.predict_logits(weights, encoder.architecture, ids)


def _fit_priors(encoder: Checkpoint, adapters: Adapters, sets: TrainingSets, *, large: bool) -> dict[str, Calibration]:
    """A calibration for each kind of text whose data sets are all given."""
    splits = {name: _measured(split, large=large) for name, split in sets.load("dev").items()}
    used = {name for names in PRIORS.values() for name in names} & splits.keys()
    logits = {name: _predict_logits(encoder, adapters.tensors, splits[name], large=large) for name in sorted(used)}
    priors = {}
    for prior, names in PRIORS.items():
        if set(names) <= splits.keys() and all(splits[name].examples for name in names):
            weights = [np.full(len(logits[name]), 1 / len(logits[name])) for name in names]
            labels = [splits[name].labels() for name in names]
            priors[prior] = fit_calibration(
                np.concatenate([logits[name] for name in names]), np.concatenate(labels), np.concatenate(weights)
            )
    return priors
