"""Answers of repeated texts, kept in memory for one model at a time."""

import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Final

from undertone_sidecar.answers import Answer, Classified, Classifier, Outcome, Paragraph, StageSeconds
from undertone_sidecar.batching import Lane
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.errors import OverloadedError, ParagraphError
from undertone_sidecar.events import CacheRead, Listener, ignore
from undertone_sidecar.model import Model
from undertone_sidecar.request_limits import RequestLimits

_NO_SECONDS: Final = StageSeconds(0.0, 0.0, 0.0)
ENTRY_BYTES: Final = 640
"""Upper bound of the memory of an entry, without its probabilities."""


class AnswerCache:
    """The most recently used answers, by text and policy.

    The answers are those of one model object. Another model, such as a new version, empties the
    cache, so that it never returns answers of another contract. Keys are hashes with a random key:
    the cache contains no text.
    """

    def __init__(self, max_bytes: int) -> None:
        """The cache uses at most `max_bytes` of memory."""
        self._max_bytes = max_bytes
        self._secret = os.urandom(32)
        self._model: Model | None = None
        self._answers: OrderedDict[bytes, Classified] = OrderedDict()
        self.bytes = 0
        """Memory of the answers, at most."""

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, model: Model, text: str, policy: OverlengthPolicy) -> Classified | None:
        """The answer of the model to a text. None if it is not in the cache."""
        if model is not self._model:
            return None
        key = self._key(text, policy)
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, model: Model, text: str, policy: OverlengthPolicy, answer: Classified) -> None:
        """Add the answer of the model to a text. It may replace those of another model."""
        if model is not self._model:
            self._model, self.bytes = model, 0
            self._answers.clear()
        key = self._key(text, policy)
        if key in self._answers:
            return
        # A copy: the probabilities may be a view of those of a whole batch.
        stored = replace(answer, probabilities=answer.probabilities.copy())
        stored.probabilities.flags.writeable = False
        self._answers[key] = stored
        self.bytes += _size(stored)
        while self.bytes > self._max_bytes:
            _, evicted = self._answers.popitem(last=False)
            self.bytes -= _size(evicted)

    def _key(self, text: str, policy: OverlengthPolicy) -> bytes:
        return blake2b(f"{policy.value}\0{text}".encode(), digest_size=16, key=self._secret).digest()


async def _refusals_as_outcomes(
    model: Model, paragraphs: Sequence[Paragraph], score: Callable[[Sequence[Paragraph]], Awaitable[Answer]]
) -> Answer:
    """The answer of `score`, or the same refusal for each paragraph."""
    try:
        return await score(paragraphs)
    except OverloadedError as error:
        # Without the traceback, which refers to this frame.
        return Answer(model, (error.with_traceback(None),) * len(paragraphs), _NO_SECONDS)


def _size(answer: Classified) -> int:
    return ENTRY_BYTES + answer.probabilities.nbytes


class CachedClassifier:
    """Answers from a cache, and with another classifier what the cache does not have.

    Failures are not cached. An answer from the cache waits in no queue, and no limit refuses it.
    """

    def __init__(
        self, classifier: Classifier, cache: AnswerCache, limits: RequestLimits, *, listener: Listener = ignore
    ) -> None:
        """`limits` are those of `classifier`. `listener` receives CacheRead."""
        self._classifier = classifier
        self._cache = cache
        self._limits = limits
        self._listener = listener

    def model(self) -> Model:
        """The served model. Raises UnavailableError."""
        return self._classifier.model()

    async def classify(
        self, paragraphs: Sequence[Paragraph], policy: OverlengthPolicy, deadline: float, lane: Lane, caller: str
    ) -> Answer:
        """See Pipeline.classify. A full queue refuses only what the cache does not have."""
        model = self._classifier.model()
        outcomes: list[Outcome | None] = [self._find(model, paragraph, policy) for paragraph in paragraphs]
        missing = [paragraph for paragraph, outcome in zip(paragraphs, outcomes, strict=True) if outcome is None]
        score = partial(self._classifier.classify, policy=policy, deadline=deadline, lane=lane, caller=caller)
        stages = _NO_SECONDS
        try:
            if missing:
                if len(missing) == len(paragraphs):
                    answer = await score(missing)
                else:
                    answer = await _refusals_as_outcomes(model, missing, score)
                if answer.model is not model and len(missing) < len(paragraphs):
                    # All answers of a call are from one model, which was replaced meanwhile.
                    missing, outcomes = list(paragraphs), [None] * len(paragraphs)
                    answer = await score(missing)
                model, stages = answer.model, answer.stages
                for paragraph, outcome in zip(missing, answer.outcomes, strict=True):
                    if isinstance(outcome, Classified):
                        self._cache.put(model, paragraph.text, policy, outcome)
                scored = iter(answer.outcomes)
                outcomes = [next(scored) if outcome is None else outcome for outcome in outcomes]
        finally:
            self._listener(CacheRead(len(paragraphs) - len(missing), len(missing)))
        return Answer(model, tuple(outcome for outcome in outcomes if outcome is not None), stages)

    def _find(self, model: Model, paragraph: Paragraph, policy: OverlengthPolicy) -> Classified | None:
        try:
            # The id may be invalid. The classifier then has the answer.
            self._limits.check_paragraph(paragraph.text, paragraph.id)
        except ParagraphError:
            return None
        return self._cache.get(model, paragraph.text, policy)
