"""What goes into a batcher and what comes out of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from undertone_sidecar.chunks import Probabilities
from undertone_sidecar.tokenizer import TokenIds


class Lane(Enum):
    """Who waits for the answer: somebody now, or a job that takes the time that is left."""

    ONLINE = "online"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One sequence, special tokens included, for one version of the model.

    `padded_length`, in tokens, is what it would be padded to if it were alone. `deadline` is a time of the batcher's clock, in
    seconds; infinity where there is none. `origin` stands for the request, to whoever listens to events; None if nobody follows
    this one.
    """

    ids: TokenIds
    padded_length: int
    version: int
    deadline: float
    lane: Lane = Lane.ONLINE
    origin: object | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The answer to one sequence, and the seconds it waited for the model server and was computed by it."""

    probabilities: Probabilities
    queue_seconds: float
    predict_seconds: float


class Batcher(Protocol):
    """Scores sequences, each answered exactly once, together with whatever else is waiting."""

    def submit(self, items: Sequence[Encoded]) -> list[asyncio.Future[Scored]]:
        """The answers to come, one for each of a paragraph's sequences, which share their deadline and lane.

        Cancelling an answer withdraws its sequence. Raises OverloadedError or UnavailableError at once, and then takes none of
        them; a future raises DeadlineError, or what Backend.predict raises.
        """
