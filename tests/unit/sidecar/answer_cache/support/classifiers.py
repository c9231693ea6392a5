"""A fake classifier, and shared answers in memory."""

import asyncio
import math
from collections.abc import Sequence

import numpy as np
from undertone_sidecar.answer_cache import AnswerKeys, CachedClassifier, MemoryAnswers
from undertone_sidecar.answers import Answer, Classified, Outcome, Paragraph, StageSeconds
from undertone_sidecar.batching import Lane
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.errors import DeadlineError, ModelServerError, OverloadedError
from undertone_sidecar.events import Listener, ignore
from undertone_sidecar.model import Model
from undertone_sidecar.request_limits import RequestLimits

LIMITS = RequestLimits(paragraph_bytes=2000, paragraph_characters=1500, batch_paragraphs=50, batch_bytes=50_000)
MEAN, TRUNCATE = OverlengthPolicy.CHUNK_MEAN, OverlengthPolicy.TRUNCATE
KEYS = AnswerKeys(overlap=8, max_chunks=32)
LARGE = 1 << 20


def answer(value: float, labels: int = 9) -> Classified:
    return Classified(np.full(labels, value, dtype=np.float32), 5, truncated=False, chunks=1)


def value_of(text: str, version: int = 1) -> float:
    """The number by which the fake classifier answers a text."""
    return float(np.float32(len(text) + version / 10))


class FakeClassifier:
    """Answers each text with a number of its own, and records its calls.

    Attributes:
        models: The served model. Each call replaces it with the next one.
        texts: The texts so far.
        calls: Texts, lane and caller of each call so far.
        running: Lane, caller and text in calculation.
        repeated: Whether a text was in calculation twice for a caller in a lane.
        failing: Texts that fail as if the queue was full.
        broken: Texts with which the model server fails.
        full_for: Callers that are refused. None refuses all.
        seconds: Duration of a call in a lane.
    """

    def __init__(self, *models: Model) -> None:
        self.models = list(models)
        self.texts: list[str] = []
        self.calls: list[tuple[list[str], Lane, str]] = []
        self.running: list[tuple[Lane, str, str]] = []
        self.repeated = False
        self.failing: set[str] = set()
        self.broken: set[str] = set()
        self.full_for: set[str] | None = set()
        self.seconds: dict[Lane, float] = {}

    def model(self) -> Model:
        return self.models[0]

    async def classify(
        self, paragraphs: Sequence[Paragraph], policy: OverlengthPolicy, deadline: float, lane: Lane, caller: str
    ) -> Answer:
        texts = [paragraph.text for paragraph in paragraphs]
        self.texts += texts
        self.calls.append((texts, lane, caller))
        running = [(lane, caller, text) for text in texts]
        self.repeated |= bool(set(running) & set(self.running))
        self.running += running
        try:
            return await self._answer(paragraphs, deadline, lane, caller)
        finally:
            for entry in running:
                self.running.remove(entry)

    async def _answer(self, paragraphs: Sequence[Paragraph], deadline: float, lane: Lane, caller: str) -> Answer:
        loop = asyncio.get_running_loop()
        if seconds := self.seconds.get(lane):
            await asyncio.sleep(min(seconds, deadline - loop.time()))
        if self.full_for is None or caller in self.full_for:
            raise OverloadedError("full")
        if len(self.models) > 1:
            self.models.pop(0)
        outcomes: list[Outcome] = []
        for paragraph in paragraphs:
            if paragraph.text in self.failing:
                outcomes.append(OverloadedError("full"))
            elif paragraph.text in self.broken:
                outcomes.append(ModelServerError("internal"))
            elif deadline != math.inf and loop.time() >= deadline:
                outcomes.append(DeadlineError("late"))
            else:
                outcomes.append(answer(value_of(paragraph.text, self.model().version)))
        return Answer(self.model(), tuple(outcomes), StageSeconds(1.0, 1.0, 1.0))


class FakeShared:
    """Shared answers. `fails` makes reads fail."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.reads: list[int] = []
        self.fails = False

    async def read(self, keys: Sequence[bytes]) -> Sequence[bytes | None] | None:
        self.reads.append(len(keys))
        await asyncio.sleep(0)
        return None if self.fails else [self.values.get(key) for key in keys]

    def write(self, key: bytes, value: bytes) -> None:
        self.values[key] = value


def in_memory(scorer: FakeClassifier, *, listener: Listener = ignore, shared: FakeShared | None = None) -> CachedClassifier:
    return CachedClassifier(scorer, KEYS, LIMITS, memory=MemoryAnswers(LARGE), shared=shared, listener=listener)


async def ask(
    classifier: CachedClassifier,
    *texts: str,
    policy: OverlengthPolicy = MEAN,
    identifier: str = "",
    deadline: float = math.inf,
    lane: Lane = Lane.ONLINE,
    caller: str = "",
) -> Answer:
    return await classifier.classify([Paragraph(text, identifier) for text in texts], policy, deadline, lane, caller)


def values(answered: Answer) -> list[float | None]:
    outcomes = answered.outcomes
    return [float(each.probabilities[0]) if isinstance(each, Classified) else None for each in outcomes]
