"""Names of activation functions in configurations."""

from collections.abc import Mapping
from typing import Final

from undertone_model.architecture import Activation
from undertone_model.configuration import Configuration

ACTIVATIONS: Final[Mapping[str, Activation]] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}
"""Names in Hugging Face's configurations. Some are different implementations of one function."""


def read_activation(configuration: Configuration, field: str = "hidden_act", default: str = "gelu") -> Activation:
    """The activation in a field, by default that of the feed-forward networks.

    Raises CheckpointError if it is not supported.
    """
    return ACTIVATIONS[configuration.choice(field, tuple(ACTIVATIONS), default=default)]
