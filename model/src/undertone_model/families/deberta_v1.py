"""DeBERTa (He et al., 2020), the first version: DebertaForSequenceClassification.

It differs from DeBERTa-v2 by one tensor `in_proj` for queries, keys and values, and by biases that
it lacks.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from undertone_model.architecture import Architecture
from undertone_model.arrays import NamedArrays
from undertone_model.configuration import Configuration
from undertone_model.families import deberta

NAMES: Final = replace(
    deberta.NAMES,
    in_layers={
        "attention.self.distance_key": "attention.self.pos_proj",
        "attention.self.distance_query": "attention.self.pos_q_proj",
    },
)

SIZES: Final[Mapping[str, Any]] = {
    "num_hidden_layers": 12,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "vocab_size": 50265,
}
"""Default sizes, those of DeBERTa-base."""

WITHOUT: Final[Mapping[str, Any]] = {
    "position_buckets": -1,
    "share_att_key": False,
    "norm_rel_ebd": "none",
    "conv_kernel_size": 0,
}
"""Values of the fields that exist in DeBERTa-v2 only."""

QUERY_KEY_VALUE: Final = ("query", "key", "value")
"""Parts of `in_proj`, in this order for each head."""

PARAMETERS: Final[Mapping[str, str]] = {
    **{f"{part}.weight": "in_proj.weight" for part in QUERY_KEY_VALUE},
    "query.bias": "q_bias",
    "value.bias": "v_bias",
}
"""Names in `attention.self` of a checkpoint."""


def architecture(configuration: Configuration) -> Architecture:
    """The architecture of a DebertaConfig."""
    configuration.choice("talking_head", (False,), default=False)
    fields = {**SIZES, **configuration.fields, **WITHOUT}
    return replace(deberta.architecture(Configuration(configuration.path, fields)), family="deberta")


def weights(tensors: NamedArrays, architecture: Architecture) -> NamedArrays:
    """The weights of the architecture in `tensors`. Biases that the model lacks are zeros."""
    renamed: NamedArrays = {}
    for name, array in tensors.items():
        module, separator, parameter = name.partition(".attention.self.")
        prefix = module + separator
        if parameter == "in_proj.weight":
            parts = _parts(array, architecture.num_attention_heads)
            renamed |= {f"{prefix}{part}.weight": rows for part, rows in zip(QUERY_KEY_VALUE, parts, strict=True)}
            renamed[f"{prefix}key.bias"] = np.zeros(len(parts[1]), np.float32)
        elif parameter in ("q_bias", "v_bias"):
            renamed[prefix + ("query.bias" if parameter == "q_bias" else "value.bias")] = array
        else:
            renamed[name] = array
            if parameter == "pos_proj.weight":
                renamed[f"{prefix}pos_proj.bias"] = np.zeros(len(array), np.float32)
    return deberta.weights(renamed, architecture, NAMES)


def tensor_name(name: str) -> str:
    """The name in a checkpoint of a weight of an Architecture."""
    module, separator, parameter = NAMES.tensor_name(name).partition(".attention.self.")
    return module + separator + PARAMETERS.get(parameter, parameter)


def _parts(array: NDArray[np.float32], heads: int) -> list[NDArray[np.float32]]:
    """The rows of queries, of keys and of values in `in_proj`. An array of unexpected size is
    returned unchanged, in place of each.
    """
    if array.ndim != 2 or len(array) % (len(QUERY_KEY_VALUE) * heads):
        return [array] * len(QUERY_KEY_VALUE)
    by_head = array.reshape(heads, len(QUERY_KEY_VALUE), -1, array.shape[1])
    return [np.ascontiguousarray(by_head[:, part]).reshape(-1, array.shape[1]) for part in range(len(QUERY_KEY_VALUE))]
