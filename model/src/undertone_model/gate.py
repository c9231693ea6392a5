"""Does an export answer as the same weights do in float32? Below that gate it is not blessed."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from undertone_model import serving
from undertone_model.batches import encode
from undertone_model.errors import VerificationError
from undertone_model.sample import Sample
from undertone_model.session import SavedGraph
from undertone_model.sources import Source

#: Largest share of texts that may get another label than in float32.
MOST_FLIPS: Final = 0.005
#: Largest difference of any probability that passes.
LARGEST_SHIFT: Final = 0.02


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far an export is from float32: the share of texts with another label, and the largest difference of a probability."""

    sample: str
    sample_sha256: str
    rows: int
    label_flips: float
    largest_shift: float

    def __str__(self) -> str:
        return (
            f"{self.label_flips:.2%} of {self.rows} texts of {self.sample} get another label than in fp32 "
            f"(allowed {MOST_FLIPS:.1%}), and the largest difference of a probability is {self.largest_shift:.4f} "
            f"(allowed {LARGEST_SHIFT})"
        )

    @property
    def passes(self) -> bool:
        """Whether that is near enough; not a number is not."""
        return self.label_flips <= MOST_FLIPS and self.largest_shift <= LARGEST_SHIFT

    def check(self, folder: Path) -> None:
        """Raises VerificationError unless it passes."""
        if not self.passes:
            raise VerificationError(f"{folder}: {self}; export it with --precision fp32")


def measure(folder: Path, source: Source, sample: Sample, max_tokens: int) -> Agreement:
    """Compares the graph in `folder` with that of `source` in float32, which is what it was exported from.

    Texts are cut to `max_tokens`. Raises VerificationError if the graph cannot run, or answers other labels.
    """
    input_ids = encode(source.checkpoint.tokenizer, sample.texts, max_tokens)
    with SavedGraph(folder) as graph:
        found = graph.run(input_ids)
    with tempfile.TemporaryDirectory(prefix="undertone-") as reference:
        serving.save(source, Path(reference), "fp32")
        with SavedGraph(Path(reference)) as graph:
            expected = graph.run(input_ids)
    if found.shape != expected.shape:
        raise VerificationError(f"{folder} answers {list(found.shape)} numbers, its weights in fp32 {list(expected.shape)}")
    return agreement(sample, found, expected)


def agreement(sample: Sample, found: NDArray[np.float64], expected: NDArray[np.float64]) -> Agreement:
    """Of probabilities [rows, labels]. The label is the first of the largest."""
    flips = float(np.mean(found.argmax(axis=1) != expected.argmax(axis=1)))
    return Agreement(sample.name, sample.sha256, len(found), flips, float(np.abs(found - expected).max()))
