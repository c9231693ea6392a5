"""Interface of a loaded model version."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

# Arrays of any dtype, including TensorFlow's additions to NumPy (bfloat16).
Array = NDArray[Any]

# tensorflow.SignatureDef. Only TensorFlow's own package defines it.
SignatureDef = Any


class Servable(Protocol):
    """One loaded version of a model."""

    @property
    def signatures(self) -> Mapping[str, SignatureDef]:
        """The SignatureDefs of the SavedModel by name."""

    def run(self, fetches: Sequence[str], feeds: Mapping[str, Array], timeout: float | None) -> Sequence[Array]:
        """Computes the tensors named in `fetches` from `feeds`, which maps tensor names to arrays.

        `timeout` is in seconds; None means no limit. As in TF Serving, operations are not
        interrupted: a graph without loops is computed to its end, and the run then fails with
        DEADLINE_EXCEEDED. Raises GraphError. Several threads may call it concurrently.
        """

    def close(self) -> None:
        """Frees the memory and cancels running calls."""


# Loads the SavedModel in a folder. Raises LoadError.
Loader = Callable[[Path], Servable]
