"""Verification of an export: against its contract, its golden outputs, and its weights in float32.

The graph runs in a Session, as in TF Serving. Golden outputs are compared after the calibration in
the contract.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from undertone_protos.v1.contract_pb2 import ModelContract

from undertone_model import gate
from undertone_model.contract import CONTRACT_FILE, PROBLEM_TYPES, TOKENIZER_FILE, read_contract, tensor_types
from undertone_model.data import Sample
from undertone_model.errors import VerificationError
from undertone_model.goldens import Goldens
from undertone_model.labels import ProblemType, probabilities
from undertone_model.session import SavedModelSession
from undertone_model.sources import Source

TOLERANCE: Final = {"fp32": 1e-4, "bf16": gate.MAX_SHIFT}
"""The maximum difference of a probability from the golden outputs, by precision."""
LONGEST_ROW: Final = 2048
"""Longest row without golden outputs. The attention scores of 8192 tokens take gigabytes."""
SUM_TOLERANCE: Final = 1e-4
"""The maximum difference of the sum of a distribution from 1."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of a successful verification.

    `golden_rows` is the number of golden outputs that were compared; it is 0 if none exist for
    these weights. `agreement` with float32 is None if it was not measured.
    """

    folder: Path
    contract: ModelContract
    golden_rows: int
    largest_difference: float
    agreement: gate.Agreement | None = None


def verify(
    folder: Path, goldens: Goldens | None = None, source: Source | None = None, sample: Sample | None = None
) -> Verification:
    """Verifies the export in the version folder `folder`. Raises VerificationError, with file and
    reason.

    Contract, tokenizer and signature must agree. With `goldens`, which must belong to its weights,
    the answers are compared with them. With `source` (its weights) and `sample`, the answers are
    compared with float32.
    """
    contract = read_contract(folder)
    _check_tokenizer(folder, contract)
    _check_weights(folder, contract, goldens, source)
    rows, difference = 0, 0.0
    with SavedModelSession(folder) as session:
        _check_signature(folder, contract, session)
        if goldens is None:
            answers = session.run([[1, 2, 3], [1] * min(contract.max_tokens, LONGEST_ROW)])
            _check_probabilities(folder, answers, PROBLEM_TYPES[contract.problem_type])
        else:
            answers = session.run(goldens.input_ids)
            rows, difference = len(answers), _difference(folder, answers, contract, goldens)
    if not difference <= (tolerance := TOLERANCE[contract.precision]):
        raise VerificationError(
            f"{folder}: a probability differs by {difference:.2e} from the golden outputs (allowed: {tolerance:.0e})"
        )
    agreement = None
    if source and sample:
        agreement = gate.compare_with_fp32(folder, source, sample, contract.max_tokens)
        agreement.check(folder)
    return Verification(folder, contract, rows, difference, agreement)


def newest_export(folder: Path) -> Path:
    """`folder` itself if it is an export, else the newest version of the only model in it.

    Raises VerificationError if there is no export or more than one model.
    """
    if (folder / CONTRACT_FILE).is_file():
        return folder
    for depth in ("*", "*/*"):
        exports = [path.parent for path in folder.glob(f"{depth}/{CONTRACT_FILE}") if path.parent.name.isdecimal()]
        models = sorted({path.parent for path in exports})
        if len(models) > 1:
            raise VerificationError(f"{folder} contains several models; use one of {', '.join(map(str, models))}")
        if exports:
            return max(exports, key=lambda path: int(path.name))
    raise VerificationError(f"{folder} contains no export; expected <name>/<version>/{CONTRACT_FILE}")


def _check_weights(folder: Path, contract: ModelContract, goldens: Goldens | None, source: Source | None) -> None:
    """Golden outputs and source must belong to the weights of the export, and have its labels."""
    weights = f"{contract.weights_sha256[:12]}…" if contract.weights_sha256 else "random"
    if goldens and goldens.weights_sha256 != contract.weights_sha256:
        raise VerificationError(
            f"the golden outputs belong to the weights {goldens.weights_sha256[:12]}…, "
            f"but the weights of {folder} are {weights}; use the golden outputs of this model"
        )
    if source and source.weights_sha256 != contract.weights_sha256:
        raise VerificationError(
            f"the weights of {folder} are {weights}, but those to compare are {source.weights_sha256[:12]}…; "
            "set --checkpoint or --adapters to the folder that was exported"
        )
    if source and source.checkpoint.labels != tuple(contract.labels):
        raise VerificationError(
            f"the labels of {folder} are {', '.join(contract.labels)}, but those to compare are "
            f"{', '.join(source.checkpoint.labels)}; export the model again, or correct id2label in config.json"
        )


def _check_tokenizer(folder: Path, contract: ModelContract) -> None:
    path = folder / TOKENIZER_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VerificationError(f"cannot read {path}: {error.strerror}") from None
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != contract.tokenizer_sha256:
        raise VerificationError(f"{path} has the SHA-256 {sha256}, but the contract has {contract.tokenizer_sha256}")
    try:
        Tokenizer.from_str(content.decode())
    except Exception as error:
        raise VerificationError(f"{path} is damaged: {error}") from None


def _check_signature(folder: Path, contract: ModelContract, session: SavedModelSession) -> None:
    for kind, tensors, actual in (
        ("inputs", contract.inputs, session.inputs),
        ("outputs", contract.outputs, session.outputs),
    ):
        if (expected := tensor_types(tensors)) != actual:
            raise VerificationError(f"{folder}: the contract has {kind} {expected}, but the graph has {actual}")


def _check_probabilities(folder: Path, answers: NDArray[np.float64], problem_type: ProblemType) -> None:
    """Without golden outputs, the rows must at least be probabilities, and sum to one if they are
    single-label.
    """
    if not np.all((answers >= 0) & (answers <= 1)):
        raise VerificationError(f"{folder} does not return probabilities: their range is {answers.min()} to {answers.max()}")
    sums = answers.sum(axis=1)
    if problem_type == "single-label" and not np.allclose(sums, 1.0, atol=SUM_TOLERANCE):
        raise VerificationError(f"{folder} does not return distributions: the sums of the rows are {sums.tolist()}")


def _difference(folder: Path, answers: NDArray[np.float64], contract: ModelContract, goldens: Goldens) -> float:
    """The largest difference of a probability from the golden outputs."""
    if answers.shape != goldens.logits.shape:
        actual, expected = list(answers.shape), list(goldens.logits.shape)
        raise VerificationError(f"{folder} returns probabilities of shape {actual}, but the golden outputs have {expected}")
    bias = np.array(contract.calibration.bias or [0.0] * len(contract.labels))
    calibrated = (goldens.logits + bias) / (contract.calibration.temperature or 1.0)
    return float(np.abs(answers - probabilities(calibrated, PROBLEM_TYPES[contract.problem_type])).max())
