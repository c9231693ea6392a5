"""The paragraphs of a call and their answers, and what scores them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from undertone_sidecar.batching import Lane
from undertone_sidecar.chunks import OverlengthPolicy, Probabilities
from undertone_sidecar.flags import Flags
from undertone_sidecar.model import Model


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph as the caller sent it."""

    text: str
    id: str


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """Result of one paragraph. `tokens` is the whole paragraph and one set of special tokens."""

    probabilities: Probabilities
    tokens: int
    truncated: bool
    chunks: int
    flags: Flags = ()


Outcome = Classified | BaseException
"""Result of one paragraph, or the reason why it has none."""


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Duration of each stage in seconds: the longest of the call's paragraphs."""

    tokenize: float
    queue: float
    predict: float


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One outcome for each paragraph of a call, in order, all from the same model version."""

    model: Model
    outcomes: tuple[Outcome, ...]
    stages: StageSeconds


class Classifier(Protocol):
    """Scores paragraphs: Pipeline, or CachedClassifier in front of it."""

    def model(self) -> Model:
        """The served model. Raises UnavailableError."""

    async def classify(
        self, paragraphs: Sequence[Paragraph], policy: OverlengthPolicy, deadline: float, lane: Lane, caller: str
    ) -> Answer:
        """Scores the paragraphs of a call. Callers of a lane get equal shares of it.

        Raises:
            SidecarError: No paragraph could be processed: no model, full queue, or deadline passed.
        """
