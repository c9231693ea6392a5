"""The state of a call in the cache: its distinct texts, and the outcomes so far."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from undertone_sidecar.answers import Outcome, Paragraph, StageSeconds
from undertone_sidecar.batching import Lane
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.errors import SidecarError
from undertone_sidecar.model import Model

NO_SECONDS: Final = StageSeconds(0.0, 0.0, 0.0)


@dataclass(slots=True, eq=False)
class CachedCall:
    """One call.

    Attributes:
        model: The model of all outcomes.
        paragraphs: The paragraphs of the call.
        policy: Handling of texts that are too long.
        deadline: Time on the clock in seconds.
        lane: Priority class.
        caller: Identity of the caller.
        places: The positions of each text by its key.
        invalid: The positions of paragraphs that no cache may answer.
        outcomes: The outcome of each paragraph. None if there is none yet.
        stages: The longest duration of each stage.
        is_mixed: Whether the version was replaced, so that outcomes are from two models.
        shared: Paragraphs that have the outcome of an equal text.
        refusals: Errors that refused several paragraphs at once.
    """

    model: Model
    paragraphs: Sequence[Paragraph]
    policy: OverlengthPolicy
    deadline: float
    lane: Lane
    caller: str
    places: Mapping[bytes, Sequence[int]]
    invalid: Sequence[int]
    outcomes: list[Outcome | None] = field(init=False)
    stages: StageSeconds = NO_SECONDS
    is_mixed: bool = False
    shared: int = 0
    refusals: list[SidecarError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outcomes = [None] * len(self.paragraphs)

    @property
    def distinct(self) -> int:
        """Number of paragraphs without repetitions of a text."""
        return len(self.places) + len(self.invalid)

    def text(self, key: bytes) -> str:
        """The text with this key."""
        return self.paragraphs[self.places[key][0]].text

    def characters(self, keys: Iterable[bytes]) -> int:
        """Characters of the texts with these keys."""
        return sum(len(self.text(key)) for key in keys)

    def count(self, keys: Iterable[bytes]) -> int:
        """Number of paragraphs with these keys."""
        return sum(len(self.places[key]) for key in keys)

    def set(self, key: bytes, outcome: Outcome) -> None:
        """Sets the outcome of all paragraphs with a key."""
        for place in self.places[key]:
            self.outcomes[place] = outcome

    def refuse(self, keys: Iterable[bytes], places: Iterable[int], error: SidecarError) -> None:
        """Sets an error as the outcome of the keys and places."""
        for key in keys:
            self.set(key, error)
        for place in places:
            self.outcomes[place] = error
        self.refusals.append(error)

    def raise_refusal(self) -> None:
        """Raises the first refusal if all paragraphs are refused."""
        refusals, self.refusals = self.refusals, []
        if refusals and all(any(outcome is each for each in refusals) for outcome in self.outcomes):
            self.outcomes.clear()
            try:
                raise refusals[0]
            finally:
                # The traceback refers to this frame, which must not refer to the error.
                del refusals

    def add(self, stages: StageSeconds) -> None:
        """Adds stages that ran at the same time as the others."""
        own = self.stages
        self.stages = StageSeconds(
            max(own.tokenize, stages.tokenize), max(own.queue, stages.queue), max(own.predict, stages.predict)
        )
