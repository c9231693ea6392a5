"""Labels of a classifier, and its problem type: single-label or multi-label."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from undertone_model.configuration import Configuration
from undertone_model.errors import CheckpointError

ProblemType: TypeAlias = Literal["single-label", "multi-label"]
"""single-label: each text has exactly one label; the probabilities are a distribution (softmax).

multi-label: each text has any number of labels; the probabilities are independent (sigmoid), and a
text has the labels whose probability reaches their threshold.
"""

ConfiguredType: TypeAlias = Literal["single_label_classification", "multi_label_classification"]

PROBLEM_TYPES: Final[Mapping[ConfiguredType, ProblemType]] = {
    "single_label_classification": "single-label",
    "multi_label_classification": "multi-label",
}
"""Maps `problem_type` of a configuration. Regression has no probabilities and is not supported."""

OTHER_ARCHITECTURES: Final = (
    "Model",
    "ForCausalLM",
    "ForMaskedLM",
    "ForMultipleChoice",
    "ForNextSentencePrediction",
    "ForPreTraining",
    "ForQuestionAnswering",
    "ForTokenClassification",
)
"""Last parts of the names of architectures that do not classify texts."""


def probabilities(logits: NDArray[np.float64], problem_type: ProblemType) -> NDArray[np.float64]:
    """Probabilities [rows, labels] of logits with the same shape."""
    return np.asarray(softmax(logits, axis=1) if problem_type == "single-label" else expit(logits))


def read_labels(configuration: Configuration, count: int) -> tuple[str, ...]:
    """Names of the `count` labels of a head. The default names are LABEL_0, LABEL_1 and so on.

    Raises CheckpointError if id2label or num_labels disagree with the head, or if a name is empty
    or not unique.
    """
    path = configuration.path
    if (number := configuration.fields.get("num_labels")) not in (None, count):
        raise CheckpointError(f"{path}: num_labels is {number!r}, but the head has {count} labels; correct num_labels")
    names = configuration.fields.get("id2label")
    if not names:
        return tuple(f"LABEL_{index}" for index in range(count))
    if not isinstance(names, dict):
        raise CheckpointError(f"{path}: id2label is {names!r}, expected an object that maps numbers to names")
    if names.keys() != {str(index) for index in range(count)}:
        raise CheckpointError(
            f"{path}: id2label has the keys {', '.join(names)}, but the head has {count} labels; use the keys 0 to {count - 1}"
        )
    labels = tuple(str(names[str(index)]) for index in range(count))
    if not all(labels):
        raise CheckpointError(f"{path}: id2label has an empty name: {', '.join(map(repr, labels))}; name each label")
    if len(set(labels)) != count:
        raise CheckpointError(f"{path}: id2label has the same name for two labels: {', '.join(labels)}; use different names")
    return labels


def read_problem_type(configuration: Configuration) -> ProblemType | None:
    """The configured problem type; None if `problem_type` is absent. Raises CheckpointError."""
    name = configuration.fields.get("problem_type")
    if name is None:
        return None
    if name not in tuple(PROBLEM_TYPES):
        supported = ", ".join(PROBLEM_TYPES)
        raise CheckpointError(f"{configuration.path}: problem_type is {name!r}; train a classifier, with one of {supported}")
    return PROBLEM_TYPES[name]


def check_head(configuration: Configuration) -> None:
    """Raises CheckpointError if the configuration says that the model does not classify texts.

    The head of a token classification may have the same tensors. Models without `architectures` and
    with names of their own, such as BertForMultiLabelClassification, are accepted.
    """
    names = configuration.fields.get("architectures")
    for name in names if isinstance(names, list) else ():
        if str(name).endswith(OTHER_ARCHITECTURES):
            expected = str(name).removesuffix("Model").partition("For")[0] + "ForSequenceClassification"
            raise CheckpointError(
                f"{configuration.path}: the model is a {name}; an export needs a {expected}; fine-tune it with this head"
            )


def choose_problem_type(
    folder: Path, configured: ProblemType | None, chosen: ProblemType | None, labels: Sequence[str]
) -> ProblemType:
    """The problem type of the checkpoint in `folder`, whose configuration has `configured`.

    `chosen` replaces an absent value. If both are None, a head with one label is a regression, as
    in Hugging Face, and any other head is single-label. Raises CheckpointError for a contradiction,
    for a regression, and for a single-label head with one label.
    """
    if configured and chosen and configured != chosen:
        raise CheckpointError(
            f"--problem-type {chosen} contradicts {folder / 'config.json'}, whose problem_type is {configured}; "
            "omit the option, or correct the file"
        )
    problem_type = configured or chosen or "single-label"
    if len(labels) == 1 and problem_type == "single-label":
        if configured or chosen:
            raise CheckpointError(
                f"{folder}: a single-label head with one label always has the probability 1; "
                "train it as multi_label_classification"
            )
        raise CheckpointError(
            f"{folder} has one label and no problem_type: Hugging Face trains this as a regression, which is not supported; "
            "if it was trained as a classifier with a sigmoid, set --problem-type multi-label"
        )
    return problem_type
