"""Answers from the cache in front of the pipeline."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from undertone_sidecar.answer_cache.cached_call import CachedCall
from undertone_sidecar.answer_cache.keys import AnswerKeys
from undertone_sidecar.answer_cache.memory import MemoryAnswers
from undertone_sidecar.answer_cache.single_flight import Claim, SingleFlight
from undertone_sidecar.answer_cache.stored_answer import decode, encode
from undertone_sidecar.answers import Answer, Classified, Classifier, Paragraph, StageSeconds
from undertone_sidecar.batching import Lane
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.errors import DeadlineError, OverloadedError, ParagraphError, SidecarError
from undertone_sidecar.events import AnswersShared, CacheRead, Listener, ignore
from undertone_sidecar.model import Model
from undertone_sidecar.request_limits import RequestLimits


class SharedAnswers(Protocol):
    """Stored answers that other sidecars read, too."""

    async def read(self, keys: Sequence[bytes]) -> Sequence[bytes | None] | None:
        """The value of each key. None if they could not be read in a few milliseconds."""

    def write(self, key: bytes, value: bytes) -> None:
        """Stores a value later, if that is possible."""


@dataclass(slots=True, eq=False)
class _Joined:
    """Calculations of other calls that a call waits for, and calculations of its own."""

    futures: "dict[asyncio.Future[Classified | None], bytes]" = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class CachedClassifier:
    """Answers from a cache, and with another classifier what the cache does not have.

    A text is searched in memory, in the calculations in progress, and in the shared answers. Only
    answers are cached, no failures. An answer from the cache waits in no queue, and no limit
    refuses it.
    """

    def __init__(
        self,
        classifier: Classifier,
        keys: AnswerKeys,
        limits: RequestLimits,
        *,
        memory: MemoryAnswers | None = None,
        shared: SharedAnswers | None = None,
        margin_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        listener: Listener = ignore,
    ) -> None:
        """Creates a cache in front of a classifier.

        Args:
            classifier: Scores what the cache does not have.
            keys: Keys of the answers.
            limits: Those of `classifier`.
            memory: Answers in memory.
            shared: Answers of all sidecars.
            margin_seconds: Time before the deadline of a call at which it waits no longer for the
                calculations of other calls.
            clock: Time in seconds, for deadlines.
            listener: Receives CacheRead and AnswersShared.
        """
        self._classifier = classifier
        self._keys = keys
        self._limits = limits
        self._memory = memory
        self._shared = shared
        self._margin_seconds = margin_seconds
        self._clock = clock
        self._listener = listener
        self._single_flight = SingleFlight()

    def model(self) -> Model:
        """The served model. Raises UnavailableError."""
        return self._classifier.model()

    async def classify(
        self, paragraphs: Sequence[Paragraph], policy: OverlengthPolicy, deadline: float, lane: Lane, caller: str
    ) -> Answer:
        """See Pipeline.classify. A full queue refuses only what the cache does not have."""
        call = self._call(paragraphs, policy, deadline, lane, caller)
        missing = self._read_memory(call)
        hits = len(paragraphs) - call.count(missing) - len(call.invalid)
        try:
            if missing or call.invalid:
                with self._single_flight.claim(lane, caller, call.characters(missing)) as claim:
                    await self._calculate(call, claim, missing)
            if call.is_mixed:
                # All answers of a call are from one model, which was replaced meanwhile.
                hits = 0
                await self._score_again(call)
        finally:
            if self._memory is not None:
                self._listener(CacheRead("memory", hits, len(paragraphs) - hits))
        call.raise_refusal()
        return Answer(call.model, tuple(outcome for outcome in call.outcomes if outcome is not None), call.stages)

    def _call(
        self, paragraphs: Sequence[Paragraph], policy: OverlengthPolicy, deadline: float, lane: Lane, caller: str
    ) -> CachedCall:
        model = self._classifier.model()
        places: dict[bytes, list[int]] = {}
        invalid = []
        for place, paragraph in enumerate(paragraphs):
            try:
                # The id may be invalid. The classifier then has the answer.
                self._limits.check_paragraph(paragraph.text, paragraph.id)
            except ParagraphError:
                invalid.append(place)
            else:
                places.setdefault(self._keys.key(model, policy, paragraph.text), []).append(place)
        return CachedCall(model, paragraphs, policy, deadline, lane, caller, places, invalid)

    def _read_memory(self, call: CachedCall) -> list[bytes]:
        """Sets the outcomes that are in memory. Returns the keys of the others."""
        if self._memory is None:
            return list(call.places)
        missing = []
        for key in call.places:
            value = self._memory.get(key)
            answer = decode(key, value, len(call.model.contract.labels)) if value is not None else None
            if answer is None:
                missing.append(key)
            else:
                call.set(key, answer)
        return missing

    async def _calculate(self, call: CachedCall, claim: Claim, keys: Sequence[bytes]) -> None:
        """Sets the outcomes of the keys and of the invalid paragraphs."""
        joined = _Joined()
        own = []
        for key in keys:
            if (future := self._single_flight.join(key, claim)) is None:
                own.append(key)
            else:
                joined.futures[future] = key
        try:
            if not joined.futures:
                await self._lead(call, claim, own, call.invalid)
            else:
                await self._wait(call, claim, joined, own)
        finally:
            # A task that is cancelled before its first step has finished nothing.
            for key in keys:
                self._single_flight.finish(key, claim, None)
        if call.shared and not call.is_mixed:
            self._listener(AnswersShared(call.shared))

    async def _wait(self, call: CachedCall, claim: Claim, joined: _Joined, own: Sequence[bytes]) -> None:
        """Waits for the calculations of other calls, and calculates its own meanwhile."""
        if own or call.invalid:
            joined.tasks.add(asyncio.create_task(self._lead(call, claim, own, call.invalid)))
        started = self._clock()
        try:
            while joined.futures or joined.tasks:
                seconds = call.deadline - self._margin_seconds - self._clock()
                # Tasks end at the deadline by themselves.
                timeout = max(0.0, seconds) if joined.futures and seconds != math.inf else None
                waiting: list[asyncio.Future[Any]] = [*joined.futures, *joined.tasks]
                done, _ = await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    self._leave(call, joined)
                    continue
                for task in joined.tasks & done:
                    joined.tasks.discard(task)
                    task.result()
                led = []
                for future in joined.futures.keys() & done:
                    key, answer = joined.futures[future], future.result()
                    if answer is None:
                        led.append(key)
                    else:
                        call.set(key, answer)
                        call.shared += len(call.places[key])
                    del joined.futures[future]
                if led:
                    joined.tasks.add(asyncio.create_task(self._lead(call, claim, led)))
        finally:
            for task in joined.tasks:
                task.cancel()
            for future, key in joined.futures.items():
                if not future.cancel() and future.result() is None:
                    self._single_flight.finish(key, claim, None)
        call.add(StageSeconds(0.0, self._clock() - started, 0.0))

    def _leave(self, call: CachedCall, joined: _Joined) -> None:
        """Stops waiting for the calculations of other calls, because the deadline is reached."""
        for future, key in joined.futures.items():
            future.cancel()
            call.set(key, DeadlineError("the deadline passed before the paragraph was scored: set a longer deadline"))
        joined.futures.clear()

    async def _lead(self, call: CachedCall, claim: Claim, keys: Sequence[bytes], invalid: Sequence[int] = ()) -> None:
        """Sets the outcomes of calculations that the call leads, and of its invalid paragraphs."""
        missing = keys
        call.shared += call.count(keys) - len(keys)
        try:
            if self._shared is not None and keys:
                missing = await self._read_shared(call, claim, keys, self._shared)
            if missing or invalid:
                await self._score(call, claim, missing, invalid)
        except (OverloadedError, DeadlineError) as error:
            # Without the traceback, which refers to this frame.
            call.refuse(missing, invalid, error.with_traceback(None))
        except SidecarError:
            for key in missing:
                self._single_flight.finish(key, claim, None, separately=True)
            raise
        finally:
            for key in keys:
                self._single_flight.finish(key, claim, None)

    async def _read_shared(
        self, call: CachedCall, claim: Claim, keys: Sequence[bytes], shared: SharedAnswers
    ) -> Sequence[bytes]:
        """Sets the outcomes that are in the shared answers. Returns the keys of the others."""
        values = await shared.read(keys)
        if values is None:
            self._listener(CacheRead("redis", 0, 0, errors=len(keys)))
            return keys
        missing, damaged = [], 0
        for key, value in zip(keys, values, strict=True):
            answer = decode(key, value, len(call.model.contract.labels)) if value is not None else None
            if value is None or answer is None:
                damaged += value is not None
                missing.append(key)
                continue
            call.set(key, answer)
            self._single_flight.finish(key, claim, answer)
            if self._memory is not None:
                self._memory.put(key, value)
        self._listener(CacheRead("redis", len(keys) - len(missing), len(missing) - damaged, errors=damaged))
        return missing

    async def _score(self, call: CachedCall, claim: Claim, keys: Sequence[bytes], invalid: Sequence[int]) -> None:
        places = [*(call.places[key][0] for key in keys), *invalid]
        answer = await self._classifier.classify(
            [call.paragraphs[place] for place in places], call.policy, call.deadline, call.lane, call.caller
        )
        is_replaced = answer.model is not call.model
        if is_replaced:
            # The answers are of another model than that of the waiting calls.
            for key in keys:
                self._single_flight.finish(key, claim, None, separately=True)
            if len(places) < call.distinct:
                call.is_mixed = True
                return
        call.model = answer.model
        call.add(answer.stages)
        for place, outcome in zip(invalid, answer.outcomes[len(keys) :], strict=True):
            call.outcomes[place] = outcome
        for key, outcome in zip(keys, answer.outcomes, strict=False):
            call.set(key, outcome)
            if isinstance(outcome, Classified):
                if is_replaced:
                    self._store(self._keys.key(call.model, call.policy, call.text(key)), outcome)
                else:
                    self._store(key, outcome)
                    self._single_flight.finish(key, claim, outcome)
            elif not isinstance(outcome, DeadlineError | OverloadedError):
                self._single_flight.finish(key, claim, None, separately=True)

    def _store(self, key: bytes, answer: Classified) -> None:
        value = encode(key, answer)
        if self._memory is not None:
            self._memory.put(key, value)
        if self._shared is not None:
            self._shared.write(key, value)

    async def _score_again(self, call: CachedCall) -> None:
        """Scores all paragraphs with the version that replaced the first one."""
        answer = await self._classifier.classify(call.paragraphs, call.policy, call.deadline, call.lane, call.caller)
        call.model, call.stages, call.outcomes = answer.model, answer.stages, list(answer.outcomes)
        for paragraph, outcome in zip(call.paragraphs, answer.outcomes, strict=True):
            if isinstance(outcome, Classified):
                self._store(self._keys.key(call.model, call.policy, paragraph.text), outcome)
