"""Names of a family's tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays

LAYERS: Final = "encoder.layer."

HEAD: Final = ("classifier.bias", "classifier.weight")
"""Weights of the classifier, besides those of `Architecture.weight_shapes`."""

OLD_PARAMETERS: Final = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""Names in checkpoints that were converted from TensorFlow, such as the first of BERT."""


@dataclass(frozen=True, slots=True)
class TensorNames:
    """Maps the names of `Architecture.weight_shapes` to the names of the tensors in a checkpoint.

    `prefix` precedes the names of the encoder's tensors; a checkpoint of an encoder without a
    classifier has no prefix. `layers` precedes the number of a layer. `in_layers` and `modules`
    have the modules with another name than in a BertModel: those of a layer without the prefix of
    the layer, and all others with the prefix that they have in the checkpoint.
    """

    prefix: str
    layers: str = LAYERS
    in_layers: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)

    def tensor_name(self, name: str) -> str:
        """The name in the checkpoint of a classifier."""
        module, _, parameter = name.rpartition(".")
        if module.startswith(LAYERS):
            layer, _, module = module.removeprefix(LAYERS).partition(".")
            return f"{self.prefix}{self.layers}{layer}.{self.in_layers.get(module, module)}.{parameter}"
        return f"{self.modules.get(module, self.prefix + module)}.{parameter}"

    def weights(self, tensors: NamedArrays, architecture: Architecture) -> NamedArrays:
        """The weights of an architecture that are in `tensors`. Other tensors are ignored, such as
        the head of a masked language model.

        An encoder without a classifier can have the pooler of a BertModel instead of the hidden
        layer of the family's classifier.
        """
        tensors = {_new_name(name): array for name, array in tensors.items()}
        prefix = "" if any(name.startswith(self.prefix) for name in tensors) else self.prefix
        names = {name: self.tensor_name(name).removeprefix(prefix) for name in (*architecture.weight_shapes(), *HEAD)}
        if not any(names[name] in tensors for name in HEAD):
            names |= {name: name for name in names if name.startswith("pooler.dense.") and names[name] not in tensors}
        return {name: tensors[own] for name, own in names.items() if own in tensors}


def _new_name(name: str) -> str:
    for old, new in OLD_PARAMETERS.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
