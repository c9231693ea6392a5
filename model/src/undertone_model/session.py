"""A SavedModel in a Session, which is how TF Serving runs it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from undertone_model.batches import batches
from undertone_model.contract import INPUTS, OUTPUT, Tensors
from undertone_model.errors import VerificationError


class SavedGraph:
    """The graph of an export's folder, loaded; a context manager, which frees it.

    `inputs` and `outputs` are types and shapes by name, as the signature has them.
    """

    def __init__(self, folder: Path) -> None:
        """Raises VerificationError if a part of it is missing or damaged."""
        self._folder = folder
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
            signature = meta_graph.signature_def["serving_default"]
        except Exception as error:
            self._session.close()
            raise VerificationError(f"{folder}: saved_model.pb or variables/ cannot be loaded: {_reason(error)}") from None
        self._inputs: Mapping[str, Any] = dict(signature.inputs)
        self._outputs: Mapping[str, Any] = dict(signature.outputs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @property
    def inputs(self) -> Tensors:
        return _typed(self._inputs)

    @property
    def outputs(self) -> Tensors:
        return _typed(self._outputs)

    def run(self, input_ids: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Probabilities [rows, labels] of token ids, in their order. Raises VerificationError if the graph cannot."""
        rows: dict[int, NDArray[np.float64]] = {}
        for batch in batches(input_ids, budget=2048):
            given = zip(INPUTS, (batch.input_ids, batch.attention_mask), strict=True)
            try:
                found = self._session.run(self._outputs[OUTPUT].name, {self._inputs[name].name: array for name, array in given})
            except tf.errors.OpError as error:
                rows_and_length = " x ".join(map(str, batch.input_ids.shape))
                raise VerificationError(f"{self._folder} cannot run {rows_and_length} tokens: {_reason(error)}") from None
            rows.update(zip(batch.rows.tolist(), found.astype(np.float64), strict=True))
        return np.stack([rows[row] for row in range(len(input_ids))])


def _typed(signature: Mapping[str, Any]) -> Tensors:
    return {
        name: (tf.dtypes.as_dtype(info.dtype).name, tuple(dim.size for dim in info.tensor_shape.dim))
        for name, info in signature.items()
    }


def _reason(error: Exception) -> str:
    """The one line of TensorFlow's message that says what happened; a failing graph's begins with where in the graph."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("Graph execution error", "Detected at"))), type(error).__name__)
