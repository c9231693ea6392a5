"""Runs a benchmark: collects all texts, predicts each once, and computes the report."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from undertone_model.corpora import TestSet
from undertone_model.emotions import EMOTIONS
from undertone_model.evaluation.bootstrap import (
    RESAMPLES,
    SEED,
    Counts,
    estimate_difference,
    estimate_macro_f1,
    estimate_share,
    resample,
)
from undertone_model.evaluation.classifiers import Classifier
from undertone_model.evaluation.coverage import area_under_risk_coverage, coverages
from undertone_model.evaluation.documents import MERGES, NEUTRAL, WINDOW_TOKENS, Document, documents
from undertone_model.evaluation.flag_scores import FlagScores, score_flags, strange_texts, unusual_english
from undertone_model.evaluation.perturbations import PERTURBATIONS
from undertone_model.evaluation.predictions import Predictions
from undertone_model.evaluation.report import DocumentScores, Flips, NameScores, Report, Scores, SetDescription, SuiteScores
from undertone_model.evaluation.suites import SUITES, load_names, load_suite
from undertone_model.metrics import evaluate


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is measured: test sets, robustness and documents of fiction, suites, and flags.

    `usual_texts` are further texts without labels, which must have no flag, by the name of their
    file. They are not predicted.
    """

    sets: tuple[TestSet, ...]
    robustness: bool = True
    suites: bool = True
    documents: bool = True
    flags: bool = False
    usual_texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def texts(self, classifier: Classifier) -> tuple[str, ...]:
        """All different texts that `classifier` must answer."""
        texts = [row.text for test_set in self.sets for row in test_set.texts]
        texts += [changed for pairs in self.perturbed().values() for _, changed in pairs]
        if self.suites:
            texts += [text.text for suite in SUITES for text in load_suite(suite)]
            texts += [text for row in load_names() for text in row.texts]
        if self.flags:
            sets = (*strange_texts().values(), *unusual_english().values())
            texts += [text for each in sets for text in each]
        if split := classifier.split:
            all_documents = [document for found in self.long_documents().values() for document in found]
            texts += [
                window.text for document in all_documents for tokens in WINDOW_TOKENS for window in split(document.text, tokens)
            ]
        return tuple(dict.fromkeys(texts))

    def long_documents(self) -> dict[str, tuple[Document, ...]]:
        """Documents by test set, without test sets that have none."""
        found = {test_set.name: documents(test_set) for test_set in (self.sets if self.documents else ())}
        return {name: rows for name, rows in found.items() if rows}

    def perturbed(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """Texts before and after, by test set and perturbation. A seed for each text makes them
        independent of the other texts.
        """
        pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for test_set in self.sets if self.robustness else ():
            if not test_set.fiction:
                continue
            for name, perturb in PERTURBATIONS.items():
                for row, text in enumerate(test_set.with_single_emotion().texts):
                    if changed := perturb(text.text, np.random.default_rng([SEED, row])):
                        pairs.setdefault((test_set.name, name), []).append((text.text, changed))
        return pairs


def run(benchmark: Benchmark, classifiers: Sequence[Classifier], report: Callable[[int], None]) -> Report:
    """Measures `classifiers`, of which the first is the reference of the differences.

    `report` is called with the number of texts that were predicted since the last call.
    """
    predictions = [Predictions(classifier, benchmark.texts(classifier), report) for classifier in classifiers]
    return Report(
        seed=SEED,
        resamples=RESAMPLES,
        sets=tuple(_describe(test_set) for test_set in benchmark.sets),
        scores=tuple(scores for test_set in benchmark.sets for scores in _scores(test_set, predictions)),
        flips=tuple(_flips(benchmark, predictions)),
        suites=tuple(_suites(predictions)) if benchmark.suites else (),
        names=tuple(_names(predictions)) if benchmark.suites else (),
        documents=tuple(_documents(benchmark, predictions)),
        flags=tuple(_flags(benchmark, predictions)) if benchmark.flags else (),
    )


def _describe(test_set: TestSet) -> SetDescription:
    rows = len(test_set.with_single_emotion().texts)
    return SetDescription(test_set.name, test_set.license, rows, test_set.with_several, test_set.with_none, test_set.emotions)


def _scores(test_set: TestSet, predictions: Sequence[Predictions]) -> Iterator[Scores]:
    single = test_set.with_single_emotion()
    if not single.texts:
        return
    texts = [row.text for row in single.texts]
    labels = single.targets().argmax(axis=1)
    counts = resample(len(labels))
    reference = predictions[0].probabilities(texts).argmax(axis=1)
    for model in predictions:
        for calibration in model.calibrations:
            is_reference = model is predictions[0] and calibration == model.classifier.reference
            yield _score(test_set, labels, counts, None if is_reference else reference, model, calibration)


def _score(
    test_set: TestSet,
    labels: NDArray[np.int64],
    counts: Counts,
    reference: NDArray[np.int64] | None,
    model: Predictions,
    calibration: str,
) -> Scores:
    probabilities = model.probabilities([row.text for row in test_set.with_single_emotion().texts], calibration)
    predicted = probabilities.argmax(axis=1)
    classes = [EMOTIONS.index(emotion) for emotion in test_set.emotions]
    quality = evaluate(test_set.name, probabilities, labels)
    calibrated = model.classifier.calibrated
    return Scores(
        data=test_set.name,
        model=model.classifier.name,
        calibration=calibration,
        accuracy=estimate_share(predicted == labels, counts),
        macro_f1=estimate_macro_f1(labels, predicted, classes, counts),
        difference=None if reference is None else estimate_difference(labels, predicted, reference, classes, counts),
        any_match=_any_match(test_set, model, calibration),
        f1={emotion: quality.f1[EMOTIONS.index(emotion)] for emotion in test_set.emotions},
        expected_calibration_error=quality.expected_calibration_error if calibrated else None,
        area_under_risk_coverage=area_under_risk_coverage(probabilities, labels) if calibrated else None,
        coverage=coverages(probabilities, labels) if calibrated else (),
    )


def _any_match(test_set: TestSet, model: Predictions, calibration: str) -> float:
    targets = test_set.targets()
    predicted = model.probabilities([row.text for row in test_set.texts], calibration).argmax(axis=1)
    found = targets[np.arange(len(predicted)), predicted]
    return float(found[targets.any(axis=1)].mean())


def _flips(benchmark: Benchmark, predictions: Sequence[Predictions]) -> Iterator[Flips]:
    for (data, perturbation), pairs in benchmark.perturbed().items():
        before, after = zip(*pairs, strict=True)
        counts = resample(len(pairs))
        for model in _calibrated(predictions):
            labels = (model.probabilities(texts).argmax(axis=1) for texts in (before, after))
            flipped = np.not_equal(*labels)
            yield Flips(data, model.classifier.name, perturbation, len(pairs), estimate_share(flipped, counts))


def _documents(benchmark: Benchmark, predictions: Sequence[Predictions]) -> Iterator[DocumentScores]:
    for data, rows in benchmark.long_documents().items():
        labels = np.array([EMOTIONS.index(row.emotion) for row in rows])
        emotional = labels != NEUTRAL
        counts = resample(int(emotional.sum()))
        neutral_counts = resample(int((~emotional).sum()))
        for model in predictions:
            if not (split := model.classifier.split):
                continue
            for tokens in WINDOW_TOKENS:
                windows = [split(row.text, tokens) for row in rows]
                parts = [model.probabilities([window.text for window in found]) for found in windows]
                for name, merge in MERGES.items():
                    merged = [
                        merge(part, [window.new_tokens for window in found]) for part, found in zip(parts, windows, strict=True)
                    ]
                    predicted = np.array(merged).argmax(axis=1)
                    yield DocumentScores(
                        data=data,
                        model=model.classifier.name,
                        window_tokens=tokens,
                        merge=name,
                        documents=int(emotional.sum()),
                        tokens=sum(window.tokens for found in windows for window in found) / len(rows),
                        found=estimate_share((predicted == labels)[emotional], counts),
                        emotional=estimate_share((predicted != NEUTRAL)[emotional], counts),
                        false_alarms=estimate_share((predicted != NEUTRAL)[~emotional], neutral_counts),
                    )


def _calibrated(predictions: Sequence[Predictions]) -> list[Predictions]:
    """Without the baselines that have only labels."""
    return [model for model in predictions if model.classifier.calibrated]


def _suites(predictions: Sequence[Predictions]) -> Iterator[SuiteScores]:
    for suite in SUITES:
        texts = load_suite(suite)
        for model in predictions:
            indices = model.probabilities([text.text for text in texts]).argmax(axis=1).tolist()
            labels = [EMOTIONS[index] for index in indices]
            accepted = sum(label in text.accepted for label, text in zip(labels, texts, strict=True))
            literal = sum(label == text.literal for label, text in zip(labels, texts, strict=True))
            yield SuiteScores(suite, model.classifier.name, len(texts), accepted, literal)


def _flags(benchmark: Benchmark, predictions: Sequence[Predictions]) -> Iterator[FlagScores]:
    usual = {test_set.name: tuple(row.text for row in test_set.texts) for test_set in benchmark.sets}
    for model in predictions:
        if model.classifier.find_flags:

            def confidence(texts: Sequence[str], model: Predictions = model) -> float | None:
                if texts in benchmark.usual_texts.values():
                    return None
                return float(np.median(model.probabilities(texts).max(axis=1)))

            name = model.classifier.name
            yield from score_flags(name, model.classifier.find_flags, confidence, usual | dict(benchmark.usual_texts))


def _names(predictions: Sequence[Predictions]) -> Iterator[NameScores]:
    rows = load_names()
    for model in _calibrated(predictions):
        counts = [Counter(model.probabilities(row.texts).argmax(axis=1).tolist()) for row in rows]
        names = len(rows[0].texts)
        moved = sum(names - count.most_common(1)[0][1] for count in counts)
        unstable = sum(len(count) > 1 for count in counts)
        yield NameScores(model.classifier.name, len(rows), names, moved / (names * len(rows)), unstable)
