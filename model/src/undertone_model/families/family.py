"""The supported families of encoders, by the `model_type` of their configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays
from undertone_model.configuration import Configuration
from undertone_model.errors import CheckpointError
from undertone_model.families import bert, deberta, deberta_v1, distilbert, electra, modernbert, mpnet, roberta


@dataclass(frozen=True, slots=True)
class Family:
    """How checkpoints of one family are read.

    `architecture` reads a configuration and raises CheckpointError. `weights` gives the tensors of
    a checkpoint the names and shapes of `Architecture.weight_shapes`, and those of the classifier.
    It omits weights that are missing. `tensor_name` maps such a name to the name in a checkpoint.
    """

    architecture: Callable[[Configuration], Architecture]
    weights: Callable[[NamedArrays, Architecture], NamedArrays]
    tensor_name: Callable[[str], str]


_ROBERTA: Final = Family(roberta.architecture, roberta.NAMES.weights, roberta.NAMES.tensor_name)

FAMILIES: Final[Mapping[str, Family]] = {
    "bert": Family(bert.architecture, bert.NAMES.weights, bert.NAMES.tensor_name),
    "roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "distilbert": Family(distilbert.architecture, distilbert.NAMES.weights, distilbert.NAMES.tensor_name),
    "electra": Family(electra.architecture, electra.NAMES.weights, electra.NAMES.tensor_name),
    "mpnet": Family(mpnet.architecture, mpnet.NAMES.weights, mpnet.NAMES.tensor_name),
    "modernbert": Family(modernbert.architecture, modernbert.weights, modernbert.NAMES.tensor_name),
    "deberta": Family(deberta_v1.architecture, deberta_v1.weights, deberta_v1.tensor_name),
    "deberta-v2": Family(deberta.architecture, deberta.weights, deberta.NAMES.tensor_name),
}
"""Supported families by `model_type`."""


def find_family(configuration: Configuration) -> Family:
    """The family of a configuration. Raises CheckpointError if it is not supported."""
    model_type = configuration.fields.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        supported = ", ".join(FAMILIES)
        raise CheckpointError(
            f"{configuration.path}: model_type is {model_type!r}; use a model of one of these families: {supported}"
        )
    return FAMILIES[model_type]
