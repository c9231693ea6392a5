"""Is an export what its contract says, and does it compute what the original implementation computes?

Outputs are compared with the reference after the contract's calibration, through a Session, as TF Serving runs the graph.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from google.protobuf.json_format import Parse, ParseError
from numpy.typing import NDArray
from scipy.special import softmax
from tokenizers import Tokenizer
from undertone_protos.v1 import contract_pb2

from undertone_model import gate
from undertone_model.contract import Tensors, tensors
from undertone_model.errors import VerificationError
from undertone_model.goldens import Goldens
from undertone_model.sample import Sample
from undertone_model.session import SavedGraph
from undertone_model.sources import Source

#: Largest difference of a probability from the reference outputs that passes, by precision.
TOLERANCE: Final = {"fp32": 1e-4, "bf16": gate.LARGEST_SHIFT}
#: Largest difference from 1 of the sum of a row.
ROUNDING: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found true.

    `rows` is 0 if there are no reference outputs for these weights. `agreement` with float32 is None if it was not measured.
    """

    folder: Path
    contract: contract_pb2.ModelContract
    rows: int
    largest_difference: float
    agreement: gate.Agreement | None = None


def verify(
    folder: Path, goldens: Goldens | None = None, source: Source | None = None, sample: Sample | None = None
) -> Verification:
    """Checks the export in `folder` (…/<name>/<version>). Raises VerificationError that names the file and the reason.

    With `goldens` its answers must agree with them, and they must belong to its weights; without, only its form is checked.
    With `source`, the weights it was made from, and `sample`, its answers must agree with those in float32; see `gate`.
    """
    contract = read_contract(folder)
    _check_tokenizer(folder, contract)
    _check_weights(folder, contract, goldens, source)
    rows, difference = 0, 0.0
    with SavedGraph(folder) as graph:
        _check_signature(folder, contract, graph)
        if goldens is None:
            _check_distributions(folder, graph.run([[1, 2, 3], [1] * contract.max_tokens]))
        else:
            found = graph.run(goldens.input_ids)
            rows, difference = len(found), _difference(folder, found, contract, goldens)
    if not difference <= (tolerance := TOLERANCE[contract.precision]):
        raise VerificationError(
            f"{folder}: a probability differs by {difference:.2e} from the reference, more than {tolerance:.0e}"
        )
    agreement = gate.measure(folder, source, sample, contract.max_tokens) if source and sample else None
    if agreement:
        agreement.check(folder)
    return Verification(folder, contract, rows, difference, agreement)


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
    if contract.precision not in TOLERANCE:
        raise VerificationError(f"{path} has precision {contract.precision!r}, expected one of {', '.join(TOLERANCE)}")
    if contract.max_tokens < 3:
        raise VerificationError(f"{path} has max_tokens {contract.max_tokens}; two are taken by the special ones")
    if len(contract.calibration.bias) not in (0, len(contract.labels)):
        count = len(contract.calibration.bias)
        raise VerificationError(f"{path} has {count} numbers in calibration.bias for {len(contract.labels)} labels")
    for kind, found, expected in zip(("inputs", "outputs"), _said(contract), tensors(len(contract.labels)), strict=True):
        if found != _named(expected):
            raise VerificationError(f"{path} has {kind} {found}, expected {_named(expected)}")
    return contract


def _named(said: Sequence[contract_pb2.TensorContract]) -> Tensors:
    return {tensor.name: (tensor.dtype, tuple(tensor.shape)) for tensor in said}


def _said(contract: contract_pb2.ModelContract) -> tuple[Tensors, Tensors]:
    return _named(contract.inputs), _named(contract.outputs)


def _check_weights(folder: Path, contract: contract_pb2.ModelContract, goldens: Goldens | None, source: Source | None) -> None:
    """What the export is compared with must belong to its weights."""
    ours = f"{contract.weights_sha256[:12]}…" if contract.weights_sha256 else "random weights"
    if goldens and goldens.weights_sha256 != contract.weights_sha256:
        theirs = goldens.weights_sha256[:12]
        raise VerificationError(f"the goldens belong to the weights {theirs}…, {folder} was made from {ours}")
    if source and source.weights_sha256 != contract.weights_sha256:
        raise VerificationError(
            f"{folder} was made from {ours}, not from {source.weights_sha256[:12]}…; "
            "name its weights with --checkpoint or --adapters, to compare it with fp32"
        )


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


def _check_signature(folder: Path, contract: contract_pb2.ModelContract, graph: SavedGraph) -> None:
    for kind, said, found in zip(("inputs", "outputs"), _said(contract), (graph.inputs, graph.outputs), strict=True):
        if said != found:
            raise VerificationError(f"{folder}: the contract says {kind} {said}, the graph has {found}")


def _check_distributions(folder: Path, probabilities: NDArray[np.float64]) -> None:
    """Without a reference, at least: the graph runs at its shortest and longest, and gives distributions."""
    if not np.all(np.isfinite(probabilities)) or not np.allclose(probabilities.sum(axis=1), 1.0, atol=ROUNDING):
        raise VerificationError(f"{folder} does not give distributions: rows sum to {probabilities.sum(axis=1).tolist()}")


def _difference(folder: Path, found: NDArray[np.float64], contract: contract_pb2.ModelContract, goldens: Goldens) -> float:
    """Largest difference between probabilities found and expected."""
    if found.shape != goldens.logits.shape:
        raise VerificationError(f"{folder} answers {list(found.shape)} numbers, the goldens have {list(goldens.logits.shape)}")
    bias = np.array(contract.calibration.bias or [0.0] * len(contract.labels))
    expected = softmax((goldens.logits + bias) / (contract.calibration.temperature or 1.0), axis=1)
    return float(np.abs(found - expected).max())
