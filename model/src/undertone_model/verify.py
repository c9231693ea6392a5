"""Is an export what its contract says, and does it compute what the original implementation computes?

Outputs are compared with the reference after the contract's calibration, through a Session, as TF Serving runs the graph.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import tensorflow as tf
from google.protobuf.json_format import Parse, ParseError
from numpy.typing import NDArray
from scipy.special import softmax
from tokenizers import Tokenizer
from undertone_protos.v1 import contract_pb2

from undertone_model.batches import batches
from undertone_model.contract import INPUTS, OUTPUT, tensors
from undertone_model.errors import VerificationError
from undertone_model.goldens import Goldens

#: Largest difference of a probability that passes, in fp32.
TOLERANCE: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found true. `rows` is 0 if there are no reference outputs for these weights."""

    folder: Path
    contract: contract_pb2.ModelContract
    rows: int
    largest_difference: float


def verify(folder: Path, goldens: Goldens | None = None) -> Verification:
    """Checks the export in `folder` (…/<name>/<version>). Raises VerificationError that names the file and the reason.

    With `goldens` its answers must agree with them, and they must belong to its weights; without, only its form is checked.
    """
    contract = read_contract(folder)
    _check_tokenizer(folder, contract)
    if goldens and goldens.weights_sha256 != contract.weights_sha256:
        theirs, ours = goldens.weights_sha256, contract.weights_sha256 or "random weights"
        raise VerificationError(f"the goldens belong to the weights {theirs[:12]}…, {folder} was made from {ours[:14]}…")
    with _Graph(folder) as graph:
        graph.check(contract)
        if goldens is None:
            _check_distributions(folder, graph.run([[1, 2, 3], [1] * contract.max_tokens]))
            return Verification(folder, contract, rows=0, largest_difference=0.0)
        found = graph.run(goldens.input_ids)
    difference = _difference(folder, found, contract, goldens)
    if not difference <= TOLERANCE:
        raise VerificationError(
            f"{folder}: a probability differs by {difference:.2e} from the reference, more than {TOLERANCE:.0e}"
        )
    return Verification(folder, contract, len(found), difference)


def newest(folder: Path) -> Path:
    """`folder` itself if it is an export, else the largest version in it, of the one model that it holds.

    Raises VerificationError if there is no export, or there are several models.
    """
    if (folder / "contract.json").is_file():
        return folder
    for depth in ("*", "*/*"):
        found = [path.parent for path in folder.glob(f"{depth}/contract.json") if path.parent.name.isdecimal()]
        models = sorted({path.parent for path in found})
        if len(models) > 1:
            raise VerificationError(f"{folder} holds several models; name one of {', '.join(map(str, models))}")
        if found:
            return max(found, key=lambda path: int(path.name))
    raise VerificationError(f"{folder} holds no contract.json; expected an export: <name>/<version>/contract.json")


def read_contract(folder: Path) -> contract_pb2.ModelContract:
    """Reads contract.json. Raises VerificationError if it is missing, damaged, or contradicts the folder or itself."""
    path = folder / "contract.json"
    try:
        contract = Parse(path.read_text(encoding="utf-8"), contract_pb2.ModelContract())
    except FileNotFoundError:
        raise VerificationError(f"{path} does not exist") from None
    except (OSError, ParseError, UnicodeDecodeError) as error:
        # The lines after the first list all fields that there are.
        raise VerificationError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    if folder.resolve().name != str(contract.version):
        raise VerificationError(f"{path} says version {contract.version}, but lies in the folder {folder.resolve().name}")
    if not contract.labels or len(set(contract.labels)) != len(contract.labels):
        raise VerificationError(f"{path}: labels must be there, and each only once")
    if contract.max_tokens < 3:
        raise VerificationError(f"{path} has max_tokens {contract.max_tokens}; two are taken by the special ones")
    if len(contract.calibration.bias) not in (0, len(contract.labels)):
        count = len(contract.calibration.bias)
        raise VerificationError(f"{path} has {count} numbers in calibration.bias for {len(contract.labels)} labels")
    for kind, found, expected in zip(("inputs", "outputs"), _said(contract), tensors(len(contract.labels)), strict=True):
        if found != _named(expected):
            raise VerificationError(f"{path} has {kind} {found}, expected {_named(expected)}")
    return contract


#: Name of a tensor, to its type and shape.
_Tensors = dict[str, tuple[str, tuple[int, ...]]]


def _named(said: Sequence[contract_pb2.TensorContract]) -> _Tensors:
    return {tensor.name: (tensor.dtype, tuple(tensor.shape)) for tensor in said}


def _said(contract: contract_pb2.ModelContract) -> tuple[_Tensors, _Tensors]:
    return _named(contract.inputs), _named(contract.outputs)


def _check_tokenizer(folder: Path, contract: contract_pb2.ModelContract) -> None:
    path = folder / "tokenizer.json"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VerificationError(f"{path} cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != contract.tokenizer_sha256:
        raise VerificationError(f"{path} has the SHA-256 {digest}, the contract says {contract.tokenizer_sha256}")
    try:
        Tokenizer.from_str(content.decode())
    except Exception as error:
        raise VerificationError(f"{path} is damaged: {error}") from None


class _Graph:
    """The SavedModel in a Session, as TF Serving holds it."""

    def __init__(self, folder: Path) -> None:
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

    def check(self, contract: contract_pb2.ModelContract) -> None:
        """Raises VerificationError unless the signature is what the contract says."""
        for kind, said, found in zip(("inputs", "outputs"), _said(contract), (self._inputs, self._outputs), strict=True):
            actual = {
                name: (tf.dtypes.as_dtype(info.dtype).name, tuple(dim.size for dim in info.tensor_shape.dim))
                for name, info in found.items()
            }
            if said != actual:
                raise VerificationError(f"{self._folder}: the contract says {kind} {said}, the graph has {actual}")

    def run(self, input_ids: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Probabilities [rows, labels] of token ids, in their order."""
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


def _check_distributions(folder: Path, probabilities: NDArray[np.float64]) -> None:
    """Without a reference, at least: the graph runs at its shortest and longest, and gives distributions."""
    if not np.all(np.isfinite(probabilities)) or not np.allclose(probabilities.sum(axis=1), 1.0, atol=TOLERANCE):
        raise VerificationError(f"{folder} does not give distributions: rows sum to {probabilities.sum(axis=1).tolist()}")


def _difference(folder: Path, found: NDArray[np.float64], contract: contract_pb2.ModelContract, goldens: Goldens) -> float:
    """Largest difference between probabilities found and expected."""
    if found.shape != goldens.logits.shape:
        raise VerificationError(f"{folder} answers {list(found.shape)} numbers, the goldens have {list(goldens.logits.shape)}")
    bias = np.array(contract.calibration.bias or [0.0] * len(contract.labels))
    expected = softmax((goldens.logits + bias) / (contract.calibration.temperature or 1.0), axis=1)
    return float(np.abs(found - expected).max())


def _reason(error: Exception) -> str:
    """The one line of TensorFlow's message that says what happened; a failing graph's begins with where in the graph."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith(("Graph execution error", "Detected at"))), type(error).__name__)
