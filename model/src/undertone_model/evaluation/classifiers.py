"""Classifiers to evaluate: adapters, checkpoints and exports, with the nine emotions as labels."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from undertone_protos.v1 import contract_pb2

from undertone_model import training
from undertone_model.adapters import PACKAGED_ADAPTERS, load_adapters
from undertone_model.batches import encode
from undertone_model.calibration import Calibration
from undertone_model.checkpoint import Checkpoint
from undertone_model.contract import PROBLEM_TYPES, TOKENIZER_FILE, read_contract
from undertone_model.data import PACKAGED_STORIES, load_usual_texts
from undertone_model.errors import CheckpointError
from undertone_model.evaluation.documents import Splitter, splitter
from undertone_model.evaluation.emotion_labels import pool_emotions
from undertone_model.evaluation.flag_scores import FindFlags
from undertone_model.flags import FoundFlags, find_flags, fit_thresholds
from undertone_model.labels import probabilities
from undertone_model.session import SavedModelSession
from undertone_model.sources import from_checkpoint, merge_into_base
from undertone_model.special_tokens import served_tokenizer
from undertone_model.verification import newest_export

Probabilities: TypeAlias = NDArray[np.float64]
"""Probabilities [texts, emotions], in the order of EMOTIONS."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model, or a baseline, with one or more calibrations.

    `predict` maps the name of each calibration to its probabilities. `reference` is the calibration
    that suites and robustness are measured with. A classifier that is not `calibrated` has no
    confidence, only a label. `find_flags` finds the flags of texts; None if the model sets none.
    `split` splits a text into windows of the classifier's own tokens; documents are not measured
    without it.
    """

    name: str
    reference: str
    predict: Callable[[Sequence[str]], Mapping[str, Probabilities]]
    calibrated: bool = True
    find_flags: FindFlags | None = None
    split: Splitter | None = None


def adapters_classifier(folder: Path, base: str | None, prior: str | None) -> Classifier:
    """Adapters without calibration and with each of their priors. Raises CheckpointError."""
    adapters = load_adapters(folder)
    prior = prior or adapters.default_prior
    if prior not in adapters.priors:
        raise CheckpointError(
            f"--prior {prior!r} is invalid: the adapters in {folder} have {', '.join(adapters.priors) or 'none'}"
        )
    checkpoint = merge_into_base(base, adapters)
    calibrations = {"uncalibrated": Calibration(1.0, 0.0)}
    calibrations |= {f"prior {name}": calibration for name, calibration in adapters.priors.items()}

    def predict(texts: Sequence[str]) -> dict[str, Probabilities]:
        logits = _logits(checkpoint, texts)
        return {name: calibration.probabilities(logits) for name, calibration in calibrations.items()}

    @cache
    def fit() -> tuple[Tokenizer, contract_pb2.FlagThresholds]:
        tokenizer = served_tokenizer(checkpoint.tokenizer)
        return tokenizer, fit_thresholds(tokenizer, ["en"], load_usual_texts(PACKAGED_STORIES))

    def flags(texts: Sequence[str]) -> FoundFlags:
        tokenizer, thresholds = fit()
        return find_flags(thresholds, tokenizer, texts)

    name = "packaged" if folder == PACKAGED_ADAPTERS else folder.name
    return Classifier(name, f"prior {prior}", predict, find_flags=flags, split=splitter(served_tokenizer(checkpoint.tokenizer)))


def checkpoint_classifier(folder: Path) -> Classifier:
    """A fine-tuned checkpoint. Raises CheckpointError, also for labels that are no emotions."""
    source = from_checkpoint(folder)
    labels = source.checkpoint.labels
    pool = pool_emotions(folder, labels, source.problem_type)

    def predict(texts: Sequence[str]) -> dict[str, Probabilities]:
        logits = _logits(source.checkpoint, texts).astype(np.float64)
        return {"checkpoint": pool(probabilities(logits, source.problem_type))}

    split = splitter(served_tokenizer(source.checkpoint.tokenizer))
    return Classifier(folder.resolve().name, "checkpoint", predict, split=split)


def export_classifier(folder: Path) -> Classifier:
    """The newest export in `folder`, which answers as in TF Serving. Raises VerificationError, and
    CheckpointError for labels that are no emotions.
    """
    export = newest_export(folder)
    contract = read_contract(export)
    tokenizer = served_tokenizer(Tokenizer.from_file(str(export / TOKENIZER_FILE)))
    pool = pool_emotions(export, contract.labels, PROBLEM_TYPES[contract.problem_type])

    def predict(texts: Sequence[str]) -> dict[str, Probabilities]:
        with SavedModelSession(export) as session:
            return {f"export {contract.version}": pool(session.run(encode(tokenizer, texts, contract.max_tokens)))}

    flags = partial(find_flags, contract.flag_thresholds, tokenizer) if contract.HasField("flag_thresholds") else None
    split = splitter(tokenizer)
    return Classifier(contract.name, f"export {contract.version}", predict, find_flags=flags, split=split)


def with_distinct_names(classifiers: Sequence[Classifier]) -> list[Classifier]:
    """The same classifiers. A name that occurred before gets a number, as in "emotions (2)"."""
    counts: Counter[str] = Counter()
    distinct = []
    for classifier in classifiers:
        counts[classifier.name] += 1
        number = counts[classifier.name]
        distinct.append(replace(classifier, name=f"{classifier.name} ({number})") if number > 1 else classifier)
    return distinct


def _logits(checkpoint: Checkpoint, texts: Sequence[str]) -> NDArray[np.float32]:
    ids = encode(served_tokenizer(checkpoint.tokenizer), texts, checkpoint.architecture.max_tokens)
    return training.predict_logits(checkpoint.weights, checkpoint.architecture, ids)
