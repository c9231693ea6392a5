"""The gate: an export must give the same answers as its weights in float32, within limits."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from undertone_protos.v1 import contract_pb2

from undertone_model.batches import encode
from undertone_model.contract import TOKENIZER_FILE
from undertone_model.data import Sample
from undertone_model.errors import VerificationError
from undertone_model.labels import ProblemType
from undertone_model.serving import save_graph
from undertone_model.session import SavedModelSession
from undertone_model.sources import Source

MAX_LABEL_FLIPS: Final = 0.005
"""The maximum share of texts whose labels differ from float32.

With a multi-label model, the labels of a text differ if any probability is on the other side of its
threshold.
"""
MAX_SHIFT: Final = 0.02
"""The maximum difference of any probability from float32."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Comparison of an export with float32 on a sample of texts.

    `label_flips` is the share of texts with different labels. With a multi-label model, the labels
    of a text differ if any probability is on the other side of its threshold. `largest_shift` is
    the largest difference of a probability.
    """

    sample: str
    sample_sha256: str
    rows: int
    label_flips: float
    largest_shift: float
    problem_type: ProblemType = "single-label"

    def __str__(self) -> str:
        flipped = "a different label" if self.problem_type == "single-label" else "different labels"
        return (
            f"{self.label_flips:.2%} of {self.rows} texts of {self.sample} have {flipped} than in fp32 "
            f"(allowed: {MAX_LABEL_FLIPS:.1%}); the largest difference of a probability is {self.largest_shift:.4f} "
            f"(allowed: {MAX_SHIFT})"
        )

    @property
    def passes(self) -> bool:
        """Whether both differences are within the limits. NaN does not pass."""
        return self.label_flips <= MAX_LABEL_FLIPS and self.largest_shift <= MAX_SHIFT

    def check(self, folder: Path) -> None:
        """Raises VerificationError if the export in `folder` does not pass."""
        if not self.passes:
            raise VerificationError(f"{folder} does not agree with fp32: {self}; use --precision fp32")

    def message(self) -> contract_pb2.Agreement:
        """The message in the contract."""
        return contract_pb2.Agreement(
            sample=self.sample,
            sample_sha256=self.sample_sha256,
            rows=self.rows,
            label_flips=self.label_flips,
            largest_shift=self.largest_shift,
        )


def compare_with_fp32(folder: Path, source: Source, sample: Sample, max_tokens: int) -> Agreement:
    """Compares the graph in `folder` with the graph of `source`, its weights, in float32.

    The tokenizer is the one in `folder`. Texts are truncated to `max_tokens`. Raises
    VerificationError if the graph cannot run or has a different number of labels.
    """
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    input_ids = encode(tokenizer, sample.texts, max_tokens)
    with SavedModelSession(folder) as session:
        probabilities = session.run(input_ids)
    with tempfile.TemporaryDirectory(prefix="undertone-") as reference:
        save_graph(source, Path(reference), "fp32")
        with SavedModelSession(Path(reference)) as session:
            expected = session.run(input_ids)
    if probabilities.shape != expected.shape:
        raise VerificationError(
            f"{folder} returns probabilities of shape {list(probabilities.shape)}, its weights in fp32 {list(expected.shape)}"
        )
    return compare(sample, probabilities, expected, source.thresholds)


def compare(
    sample: Sample, probabilities: NDArray[np.float64], expected: NDArray[np.float64], thresholds: Sequence[float] = ()
) -> Agreement:
    """Compares probabilities [rows, labels].

    With `thresholds` (a multi-label model), a row has the labels that reach their threshold.
    Without, its label is its first maximum.
    """
    if thresholds:
        flipped = ((probabilities >= thresholds) != (expected >= thresholds)).any(axis=1)
    else:
        flipped = probabilities.argmax(axis=1) != expected.argmax(axis=1)
    shift = float(np.abs(probabilities - expected).max())
    problem_type: ProblemType = "multi-label" if thresholds else "single-label"
    return Agreement(sample.name, sample.sha256, len(probabilities), float(np.mean(flipped)), shift, problem_type)
