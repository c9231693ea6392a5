"""A SavedModel in a TensorFlow Session, which is how TF Serving runs it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from undertone_model.batches import make_batches
from undertone_model.contract import INPUTS, OUTPUT, TensorTypes
from undertone_model.errors import VerificationError


class SavedModelSession:
    """The SavedModel of an export in a Session. As a context manager, it closes the Session.

    `inputs` and `outputs` are the dtypes and shapes in the signature, by name.
    """

    def __init__(self, folder: Path) -> None:
        """Raises VerificationError if a file is missing or damaged."""
        self._folder = folder
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
            signature = meta_graph.signature_def["serving_default"]
        except Exception as error:
            self._session.close()
            raise VerificationError(f"{folder}: cannot load saved_model.pb or variables/: {_reason(error)}") from None
        self._inputs: Mapping[str, Any] = dict(signature.inputs)
        self._outputs: Mapping[str, Any] = dict(signature.outputs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @property
    def inputs(self) -> TensorTypes:
        return _tensor_types(self._inputs)

    @property
    def outputs(self) -> TensorTypes:
        return _tensor_types(self._outputs)

    def run(self, input_ids: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Probabilities [rows, labels] of token ids, in order. Raises VerificationError."""
        rows: dict[int, NDArray[np.float64]] = {}
        for batch in make_batches(input_ids, max_padded_tokens=2048):
            inputs = zip(INPUTS, (batch.input_ids, batch.attention_mask), strict=True)
            feeds = {self._inputs[name].name: array for name, array in inputs}
            try:
                probabilities = self._session.run(self._outputs[OUTPUT].name, feeds)
            except tf.errors.OpError as error:
                shape = " x ".join(map(str, batch.input_ids.shape))
                raise VerificationError(f"{self._folder} cannot run {shape} tokens: {_reason(error)}") from None
            rows.update(zip(batch.rows.tolist(), probabilities.astype(np.float64), strict=True))
        return np.stack([rows[row] for row in range(len(input_ids))])


def _tensor_types(signature: Mapping[str, Any]) -> TensorTypes:
    return {
        name: (tf.dtypes.as_dtype(info.dtype).name, tuple(dim.size for dim in info.tensor_shape.dim))
        for name, info in signature.items()
    }


def _reason(error: Exception) -> str:
    """The line of TensorFlow's message with the reason. Other lines name the location."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("Graph execution error", "Detected at"))), type(error).__name__)
