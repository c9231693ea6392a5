"""The training pipeline: from data sets to adapters with calibrations and scores."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undertone_model import later_stages, training, upper_layers
from undertone_model.adapters import Adapters, Score, TrainingData, load_adapters, merge_adapters
from undertone_model.arrays import NamedArrays
from undertone_model.batches import encode
from undertone_model.calibration import UNCALIBRATED, Calibration, fit_calibration
from undertone_model.checkpoint import Checkpoint, find_base, load_checkpoint
from undertone_model.data import Dataset
from undertone_model.emotions import EMOTIONS
from undertone_model.errors import CheckpointError
from undertone_model.kept_steps import KeptSteps
from undertone_model.later_stages import LaterStage
from undertone_model.metrics import Evaluation, evaluate
from undertone_model.optimization import Progress
from undertone_model.serving import round_matrices
from undertone_model.special_tokens import served_tokenizer
from undertone_model.stages import train_stage, with_tensors
from undertone_model.tensors import weights_sha256
from undertone_model.training import Recipe
from undertone_model.training_sets import TrainingSets, soften
from undertone_model.upper_layers import UpperLayers

PRIORS: Mapping[str, tuple[str, ...]] = {
    "comments": ("goemotions",),
    "stories": ("stories",),
    "novels": ("readings", "subtitles", "fiction", "stories"),
}
"""Data sets whose dev splits fit the calibration of each kind of text. All have equal weights.

REMAN has too few dev rows to fit a calibration for novels: they confirm it.
"""

OPTIONAL_FOR_PRIORS = ("readings",)
"""Data sets of PRIORS that may be missing."""

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
    later: Mapping[str, LaterStage],
    report: Callable[[Progress], None],
    *,
    start: Path | None = None,
    stories: bool = True,
    checkpoint: Callable[[Adapters], None] = lambda adapters: None,
    stages: Path | None = None,
) -> TrainingResult:
    """Trains, rounds to half precision, fits a calibration for each kind of text, and evaluates.

    `later` has the recipe of each later stage by its name, which begins the names of its values in
    the record. If it is empty, only comments and, unless `stories` is false, story paragraphs are
    trained on. With `start`, the first stage is not trained: training continues with the adapters
    in that folder, whose base must be the same. `checkpoint` receives adapters of a later stage
    from time to time, without calibrations and scores.

    The folder `stages` has a folder with the adapters of each complete stage, and a file with the
    last saved step of the current one. A stage whose adapters are there is not trained again.
    Raises CheckpointError, also if they have another recipe or other data, and DataError.
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
        adapters = replace(adapters, recipe={key: value for key, value in adapters.recipe.items() if "." not in key})
    else:
        used = {name: datasets[name] for name in ("goemotions", *(("stories",) if stories else ()))}
        adapters = train_stage(
            stages and stages / "first_stage",
            _record(folder, asdict(first), used.values()),
            lambda: _first_stage(encoder, used, first, report, _kept_steps(stages, "first_stage", first)),
        )
    first_stage = adapters.tensors

    @cache
    def answers() -> NDArray[np.float64]:
        return UNCALIBRATED.probabilities(_predict_logits(encoder, first_stage, datasets["goemotions"]))

    for stage, recipe in later.items():
        used = {name: dataset for name, dataset in datasets.items() if recipe.views(name)}
        record = _later_record(adapters, stage, recipe, used.values())
        trained = partial(_later_stage, encoder, adapters.tensors, used, answers, recipe, report)
        save = partial(_save, checkpoint, record)
        kept = _kept_steps(stages, stage, recipe)
        adapters = train_stage(stages and stages / stage, record, partial(trained, save, kept))
    return _calibrated(base, encoder, adapters, sets)


def train_upper_layers(
    base: str | None,
    sets: TrainingSets,
    recipe: UpperLayers,
    report: Callable[[Progress], None],
    checkpoint: Callable[[Adapters], None] = lambda adapters: None,
    stages: Path | None = None,
) -> TrainingResult:
    """As `train`, but in one stage, and without changes of the lower layers. Readings only fit the
    calibration for novels.

    Calibrations and scores are those of an export in bf16, with at most LARGE_ROWS rows. The
    adapters that `checkpoint` receives have scores of dev splits; the last are those of the result.
    """
    folder = find_base(base)
    encoder = load_checkpoint(folder)
    datasets = {name: dataset for name, dataset in sets.load("train").items() if recipe.views(name)}
    dev = sets.load("dev")

    def adapters(tensors: NamedArrays) -> Adapters:
        return with_tensors(_record(folder, asdict(recipe), datasets.values()), tensors)

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
        stages=stages,
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
    """Evaluates the examples of the test splits that have one emotion with the largest share.

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
    encoder: Checkpoint,
    datasets: Mapping[str, Dataset],
    recipe: Recipe,
    report: Callable[[Progress], None],
    kept: KeptSteps | None,
) -> NamedArrays:
    return training.train(
        encoder.weights,
        encoder.architecture,
        served_tokenizer(encoder.tokenizer),
        datasets["goemotions"].examples,
        datasets["stories"].examples if "stories" in datasets else (),
        recipe,
        report,
        kept,
    )


def _record(folder: Path, recipe: Mapping[str, float], used: Iterable[Dataset]) -> Adapters:
    """Adapters of the base in `folder` without tensors, calibrations and scores."""
    return Adapters(
        tensors={},
        sha256="",
        base_sha256=weights_sha256(folder),
        labels=EMOTIONS,
        recipe=recipe,
        priors={},
        training_data=tuple(map(_training_data, used)),
        scores=(),
    )


def _later_record(start: Adapters, name: str, recipe: LaterStage, datasets: Iterable[Dataset]) -> Adapters:
    """The record of the stage `name`, which continues with the adapters `start`."""
    used = {data.name: data for data in (*start.training_data, *map(_training_data, datasets))}
    values = {f"{name}.{key}": value for key, value in asdict(recipe).items()}
    recorded = {**start.recipe, **values}
    return replace(start, tensors={}, sha256="", recipe=recorded, priors={}, training_data=tuple(used.values()), scores=())


def _later_stage(
    encoder: Checkpoint,
    start: NamedArrays,
    datasets: Mapping[str, Dataset],
    answers: Callable[[], NDArray[np.float64]],
    recipe: LaterStage,
    report: Callable[[Progress], None],
    checkpoint: Callable[[NamedArrays], None],
    kept: KeptSteps | None,
) -> NamedArrays:
    """Continues the training of `start`. `answers` are those of the first stage for GoEmotions."""
    if recipe.retention:
        datasets = {**datasets, "goemotions": soften(datasets["goemotions"], answers(), recipe.retention)}
    if "soft_labels" in datasets and recipe.start_share:
        own = UNCALIBRATED.probabilities(_predict_logits(encoder, start, datasets["soft_labels"]))
        datasets = {**datasets, "soft_labels": soften(datasets["soft_labels"], own, recipe.start_share)}
    return later_stages.train(
        encoder.weights,
        encoder.architecture,
        served_tokenizer(encoder.tokenizer),
        start,
        {name: dataset.examples for name, dataset in datasets.items()},
        recipe,
        report,
        checkpoint,
        kept=kept,
    )


def _kept_steps(stages: Path | None, name: str, recipe: Recipe | LaterStage) -> KeptSteps | None:
    return KeptSteps(stages / f"{name}.npz", repr(recipe)) if stages else None


def _save(checkpoint: Callable[[Adapters], None], record: Adapters, tensors: NamedArrays) -> None:
    checkpoint(with_tensors(record, tensors))


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
        weights = round_matrices(weights)
    return training.predict_logits(weights, encoder.architecture, ids)


def _fit_priors(encoder: Checkpoint, adapters: Adapters, sets: TrainingSets, *, large: bool) -> dict[str, Calibration]:
    """A calibration for each kind of text whose data sets are given; those in OPTIONAL_FOR_PRIORS
    may be missing.
    """
    splits = {name: _measured(split, large=large) for name, split in sets.load("dev").items()}
    used = {name for names in PRIORS.values() for name in names} & splits.keys()
    logits = {name: _predict_logits(encoder, adapters.tensors, splits[name], large=large) for name in sorted(used)}
    priors = {}
    for prior, names in PRIORS.items():
        names = tuple(name for name in names if name in splits or name not in OPTIONAL_FOR_PRIORS)
        if set(names) <= splits.keys() and all(splits[name].examples for name in names):
            weights = [np.full(len(logits[name]), 1 / len(logits[name])) for name in names]
            labels = [splits[name].labels() for name in names]
            priors[prior] = fit_calibration(
                np.concatenate([logits[name] for name in names]), np.concatenate(labels), np.concatenate(weights)
            )
    return priors
