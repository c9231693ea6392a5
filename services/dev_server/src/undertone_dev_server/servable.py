"""What a loaded version can do, whatever runs it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

# Any of numpy's types, or TensorFlow's additions to them (bfloat16).
Array = NDArray[Any]

# tensorflow.SignatureDef, which only TensorFlow's own package defines.
SignatureDef = Any


class Servable(Protocol):
    """One version of a model, loaded."""

    @property
    def signatures(self) -> Mapping[str, SignatureDef]:
        """The SavedModel's SignatureDefs by name."""

    def run(self, fetches: Sequence[str], feeds: Mapping[str, Array], timeout: float | None) -> Sequence[Array]:
        """Computes the tensors named `fetches` from those in `feeds` (by tensor name).

        `timeout` is in seconds, None for no limit. Raises GraphError. Called by many threads at once.
        """

    def close(self) -> None:
        """Frees the memory. Runs still under way are cancelled."""


# Loads the SavedModel in a folder, or raises LoadError.
Loader = Callable[[Path], Servable]
