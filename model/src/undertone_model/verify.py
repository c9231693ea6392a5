"""Is an export what its contract says, and does it compute what the original implementation computes?

Reference outputs ("goldens") are logits of the original PyTorch implementation for given token ids, kept with the SHA-256 of
the weights they belong to. They are compared after the contract's calibration, through a Session, as TF Serving runs it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from google.protobuf.json_format import Parse, ParseError
from numpy.typing import NDArray
from scipy.special import softmax
from tokenizers import Tokenizer
from undertone_protos.v1 import contract_pb2

from undertone_model.adapters import COMMITTED
from undertone_model.batches import batches
from undertone_model.errors import VerificationError

GOLDENS: Final = COMMITTED / "goldens.json"

#: Largest difference of a probability that passes, in fp32.
TOLERANCE: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Goldens:
    """Token ids and the logits [rows, labels] that the original implementation gives for them."""

    weights_sha256: str
    input_ids: tuple[tuple[int, ...], ...]
    logits: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found true. `rows` is 0 if there are no reference outputs for these weights."""

    folder: Path
    contract: contract_pb2.ModelContract
    rows: int
    largest_difference: float


def load_goldens(path: Path = GOLDENS) -> Goldens:
    """Reads reference outputs. Raises VerificationError if they are missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        ids = tuple(tuple(int(token) for token in row) for row in record["input_ids"])
        return Goldens(record["weights_sha256"], ids, np.array(record["logits"], np.float64))
    except FileNotFoundError:
        raise VerificationError(f"{path} does not exist") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"{path} is damaged: {error}") from None


def verify(folder: Path, goldens: Goldens | None = None) -> Verification:
    """Checks the export in `folder` (…/<name>/<version>). Raises VerificationError that names the file and the reason.

    With `goldens` they must belong to the export's weights; without, the committed ones are used if they do.
    """
    contract = read_contract(folder)
    _check_tokenizer(folder, contract)
    session, inputs, outputs = _open(folder)
    with session:
        _check_signature(folder, contract, inputs, outputs)
        if goldens is None:
            goldens = load_goldens()
            if goldens.weights_sha256 != contract.weights_sha256:
                _probe(session, contract, inputs, outputs)
                return Verification(folder, contract, 0, 0.0)
        elif goldens.weights_sha256 != contract.weights_sha256:
            raise VerificationError(
                f"the goldens belong to weights {goldens.weights_sha256[:12]}…, the export to {contract.weights_sha256[:12]}…"
            )
        found = _run(session, inputs, outputs, goldens.input_ids)
    bias = np.array(contract.calibration.bias or [0.0] * len(contract.labels))
    expected = softmax((goldens.logits + bias) / (contract.calibration.temperature or 1.0), axis=1)
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise VerificationError(
            f"{folder}: a probability differs by {difference:.2e} from the reference, more than {TOLERANCE}"
        )
    return Verification(folder, contract, len(expected), difference)


def newest(folder: Path) -> Path:
    """`folder` itself if it is an export, else the export with the largest version in it. Raises VerificationError."""
    if (folder / "contract.json").is_file():
        return folder
    for depth in ("*", "*/*"):
        found = [path.parent for path in folder.glob(f"{depth}/contract.json") if path.parent.name.isdecimal()]
        if found:
            return max(found, key=lambda path: (int(path.name), path.as_posix()))
    raise VerificationError(f"{folder} holds no contract.json; expected an export: <name>/<version>/contract.json")


def read_contract(folder: Path) -> contract_pb2.ModelContract:
    """Reads contract.json. Raises VerificationError if it is missing, damaged or contradicts the folder."""
    path = folder / "contract.json"
    try:
        contract = Parse(path.read_text(encoding="utf-8"), contract_pb2.ModelContract())
    except FileNotFoundError:
        raise VerificationError(f"{path} does not exist") from None
    except (OSError, ParseError, UnicodeDecodeError) as error:
        raise VerificationError(f"{path} is damaged: {error}") from None
    if folder.resolve().name != str(contract.version):
        raise VerificationError(f"{path} says version {contract.version}, but lies in the folder {folder.resolve().name}")
    if not contract.labels or len(set(contract.labels)) != len(contract.labels):
        raise VerificationError(f"{path}: labels must be there, and each only once")
    return contract


def _check_tokenizer(folder: Path, contract: contract_pb2.ModelContract) -> None:
    path = folder / "tokenizer.json"
    try:
        content = path.read_bytes()
        Tokenizer.from_str(content.decode())
    except FileNotFoundError:
        raise VerificationError(f"{path} does not exist") from None
    except Exception as error:
        raise VerificationError(f"{path} is damaged: {error}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != contract.tokenizer_sha256:
        raise VerificationError(f"{path} has the SHA-256 {digest}, the contract says {contract.tokenizer_sha256}")


def _open(folder: Path) -> tuple[tf.compat.v1.Session, Mapping[str, object], Mapping[str, object]]:
    session = tf.compat.v1.Session(graph=tf.Graph())
    try:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        signature = meta_graph.signature_def["serving_default"]
    except Exception as error:
        session.close()
        reason = str(error).splitlines()[0]
        raise VerificationError(f"{folder / 'saved_model.pb'} cannot be loaded: {reason}") from None
    return session, dict(signature.inputs), dict(signature.outputs)


def _check_signature(
    folder: Path, contract: contract_pb2.ModelContract, inputs: Mapping[str, object], outputs: Mapping[str, object]
) -> None:
    for kind, said, found in (("inputs", contract.inputs, inputs), ("outputs", contract.outputs, outputs)):
        expected = {tensor.name: (tensor.dtype, tuple(tensor.shape)) for tensor in said}
        actual = {
            name: (tf.dtypes.as_dtype(info.dtype).name, tuple(dim.size for dim in info.tensor_shape.dim))  # type: ignore[attr-defined]
            for name, info in found.items()
        }
        if expected != actual:
            raise VerificationError(f"{folder}: the contract says {kind} {expected}, the graph has {actual}")


def _run(
    session: tf.compat.v1.Session,
    inputs: Mapping[str, object],
    outputs: Mapping[str, object],
    input_ids: Sequence[Sequence[int]],
) -> NDArray[np.float64]:
    rows: dict[int, NDArray[np.float64]] = {}
    for batch in batches(input_ids, budget=2048):
        feed = {
            inputs["input_ids"].name: batch.input_ids,  # type: ignore[attr-defined]
            inputs["attention_mask"].name: batch.attention_mask,  # type: ignore[attr-defined]
        }
        found = session.run(outputs["probabilities"].name, feed)  # type: ignore[attr-defined]
        rows.update(zip(batch.rows.tolist(), found.astype(np.float64), strict=True))
    return np.stack([rows[row] for row in range(len(input_ids))])


def _probe(
    session: tf.compat.v1.Session,
    contract: contract_pb2.ModelContract,
    inputs: Mapping[str, object],
    outputs: Mapping[str, object],
) -> None:
    """Without a reference, at least: the graph runs at its shortest and longest, and gives distributions."""
    found = _run(session, inputs, outputs, [[1, 2, 3], [1] * contract.max_tokens])
    if not np.all(np.isfinite(found)) or not np.allclose(found.sum(axis=1), 1.0, atol=1e-4):
        raise VerificationError(f"{contract.name} version {contract.version} does not give distributions")
