"""Path of a call through the sidecar: check, tokenize, split, batch, merge."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

from undertone_sidecar.answers import Answer, Classified, Outcome, Paragraph, StageSeconds
from undertone_sidecar.batching import Lane, MicroBatcher, Request, Scored
from undertone_sidecar.chunks import Chunk, OverlengthPolicy, merge, split
from undertone_sidecar.errors import (
    DeadlineError,
    ModelServerLostError,
    ParagraphError,
    RetryableError,
    SidecarError,
    UnavailableError,
    VersionGoneError,
)
from undertone_sidecar.events import Listener, ParagraphShed, Tokenized, ignore
from undertone_sidecar.fair_slots import FairSlots
from undertone_sidecar.flags import Flags
from undertone_sidecar.model import Model, Models
from undertone_sidecar.progress import Progress, ProgressLimitError
from undertone_sidecar.request_limits import RequestLimits
from undertone_sidecar.token_estimate import TokenEstimate
from undertone_sidecar.tokenizer import Content
from undertone_sidecar.word_cache import text_groups

_MAX_VERSIONS_PER_CALL: Final = 5

_MAX_BLOCKING_SECONDS: Final = 0.002
"""Time that one call may use the event loop for at a stretch."""


@dataclass(frozen=True, slots=True, eq=False)
class _Submitted:
    """A paragraph in the batcher: its tokens, its flags, and its chunks with a future for each."""

    tokens: int
    flags: Flags
    chunks: Sequence[Chunk]
    results: Sequence[asyncio.Future[Scored]]


def no_span() -> None:
    """Returns None: the call has no trace span."""


class Pipeline:
    """Scores paragraphs. A bad paragraph does not affect the other paragraphs of its call."""

    def __init__(
        self,
        models: Models,
        batcher: MicroBatcher,
        limits: RequestLimits,
        *,
        overlap: int,
        max_paragraphs: int,
        tokenizer_threads: int = 1,
        margin_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        listener: Listener = ignore,
        current_span: Callable[[], object | None] = no_span,
    ) -> None:
        """Creates a pipeline.

        Args:
            models: Provides the model for each call.
            batcher: Scores sequences.
            limits: Limits of each paragraph.
            overlap: Tokens that neighbouring chunks share.
            max_paragraphs: Maximum paragraphs of one lane in the pipeline, shared between callers
                (see Progress). It bounds the work that is not tokenized yet, which the batcher
                cannot bound.
            tokenizer_threads: Threads of the models' tokenizers, which callers share fairly.
            margin_seconds: Time before the deadline of a call at which paragraphs without a result
                fail with DeadlineError, so that the caller gets the other results.
            clock: Time in seconds, for deadlines. The same as the batcher's.
            listener: Receives events.
            current_span: Returns the trace span of the current call, for Request.span.
        """
        self._models = models
        self._batcher = batcher
        self._limits = limits
        self._overlap = overlap
        self._margin_seconds = margin_seconds
        self._tokenizing = FairSlots(tokenizer_threads)
        self._token_estimate = TokenEstimate()
        self._clock = clock
        self._listener = listener
        self._current_span = current_span
        self._progress = {lane: Progress(lane.value, max_paragraphs) for lane in Lane}

    def model(self) -> Model:
        """The served model. Raises UnavailableError."""
        return self._models.current()

    async def classify(
        self,
        paragraphs: Sequence[Paragraph],
        policy: OverlengthPolicy,
        deadline: float,
        lane: Lane = Lane.ONLINE,
        caller: str = "",
    ) -> Answer:
        """Scores the paragraphs of a call. Callers of a lane get equal shares of it.

        Raises:
            SidecarError: No paragraph could be processed: no model, full queue, or deadline passed.
        """
        if deadline <= self._clock():
            raise DeadlineError("the deadline had passed when the request was read: set a longer deadline")
        outcomes: list[Outcome | None] = [self._paragraph_error(paragraph) for paragraph in paragraphs]
        texts = [paragraph.text for paragraph, error in zip(paragraphs, outcomes, strict=True) if error is None]
        model = self._models.current()
        answer = Answer(model, (), StageSeconds(0.0, 0.0, 0.0))
        if texts:
            self._check_queue(model, texts, policy, deadline, lane, caller)
            with self._count_in_progress(lane, caller, len(texts)):
                answer = await self._score(model, texts, policy, deadline, lane, caller)
            scored = iter(answer.outcomes)
            outcomes = [next(scored) if outcome is None else outcome for outcome in outcomes]
        return Answer(answer.model, tuple(outcome for outcome in outcomes if outcome is not None), answer.stages)

    def _paragraph_error(self, paragraph: Paragraph) -> ParagraphError | None:
        try:
            self._limits.check_paragraph(paragraph.text, paragraph.id)
        except ParagraphError as error:
            return error
        return None

    def _check_queue(
        self, model: Model, texts: Sequence[str], policy: OverlengthPolicy, deadline: float, lane: Lane, caller: str
    ) -> None:
        """Refuses a call before it is tokenized, if its shortest paragraph would be refused.

        A paragraph that is too long for its policy is refused with another error after it is
        tokenized. Here, it counts as one chunk.
        """
        tokens = self._token_estimate.least_tokens(min(map(len, texts)))
        try:
            chunks = self._split(model, tokens, policy)
        except ParagraphError:
            chunks = (Chunk(0, model.width, model.width),)
        costs = [model.lengths.cost(model.lengths.fit(chunk.stop - chunk.start)) for chunk in chunks]
        self._batcher.check(lane, caller, costs, deadline)

    def _split(self, model: Model, tokens: int, policy: OverlengthPolicy) -> tuple[Chunk, ...]:
        """Chunks of a paragraph, or the windows of CHUNK_MAX. Raises ParagraphError."""
        return split(
            tokens,
            width=model.width,
            overlap=self._overlap,
            policy=policy,
            max_chunks=self._limits.paragraph_chunks,
            window=model.window,
        )

    @contextmanager
    def _count_in_progress(self, lane: Lane, caller: str, paragraphs: int) -> Iterator[None]:
        try:
            with self._progress[lane].count(caller, paragraphs):
                yield
        except ProgressLimitError as error:
            self._listener(ParagraphShed(lane.value, error.reason, 0, 0, paragraphs))
            raise

    async def _score(
        self, model: Model, texts: Sequence[str], policy: OverlengthPolicy, deadline: float, lane: Lane, caller: str
    ) -> Answer:
        """Scores all texts with one version. Starts again if the version is replaced."""
        for _ in range(_MAX_VERSIONS_PER_CALL):
            answer = await self._score_with_version(model, texts, policy, deadline, lane, caller)
            if not any(isinstance(outcome, VersionGoneError) for outcome in answer.outcomes):
                return answer
            model = await self._models.refresh()
        raise UnavailableError(
            f"the model server changed versions {_MAX_VERSIONS_PER_CALL} times during the request: retry later"
        )

    async def _score_with_version(
        self, model: Model, texts: Sequence[str], policy: OverlengthPolicy, deadline: float, lane: Lane, caller: str
    ) -> Answer:
        started = self._clock()
        contents = await self._tokenize(model, texts, f"{lane.value}/{caller}")
        tokenize_seconds = self._clock() - started
        tokens = sum(len(content.token_ids) for content in contents)
        self._token_estimate.observe(sum(map(len, texts)), tokens)
        self._listener(Tokenized(len(texts), tokens, tokenize_seconds))
        span = self._current_span()
        submit = partial(self._submit, model, policy=policy, deadline=deadline, lane=lane, caller=caller, span=span)
        paragraphs = await self._submit_all(contents, submit)
        refusals = [paragraph for paragraph in paragraphs if isinstance(paragraph, RetryableError)]
        if len(refusals) == len(paragraphs):
            try:
                raise refusals[0]
            finally:
                # The traceback refers to this frame, which must not refer to the error.
                del paragraphs, refusals
        results = await _results_before(_results(paragraphs), deadline - self._margin_seconds - self._clock())
        if lost := next((result for result in results if isinstance(result, ModelServerLostError)), None):
            self._models.report_failure()
            # For the whole call, so that Envoy retries it on another pod.
            try:
                raise lost
            finally:
                del lost, results
        remaining = iter(results)
        outcomes = tuple(
            _merge_results(model, paragraph, list(islice(remaining, len(paragraph.results))), policy)
            if isinstance(paragraph, _Submitted)
            else paragraph
            for paragraph in paragraphs
        )
        return Answer(model, outcomes, _stage_seconds(tokenize_seconds, results))

    async def _tokenize(self, model: Model, texts: Sequence[str], caller: str) -> list[Content]:
        """Tokens and flags of each text. Between the groups of a large call, other callers are
        served.
        """
        contents: list[Content] = []
        for group in text_groups(texts):
            async with self._tokenizing.slot(caller, sum(map(len, group))):
                contents += await model.tokenizer.read_contents(group, model.flagger)
        return contents

    async def _submit_all(
        self, contents: Sequence[Content], submit: "Callable[[Content], _Submitted | SidecarError]"
    ) -> "list[_Submitted | SidecarError]":
        """Submits all paragraphs. Large calls give way to other calls in between."""
        paragraphs: list[_Submitted | SidecarError] = []
        started = self._clock()
        try:
            for content in contents:
                paragraphs.append(submit(content))
                if self._clock() - started > _MAX_BLOCKING_SECONDS:
                    await asyncio.sleep(0)
                    started = self._clock()
        except asyncio.CancelledError:
            for result in _results(paragraphs):
                result.cancel()
            raise
        return paragraphs

    def _submit(
        self,
        model: Model,
        content: Content,
        *,
        policy: OverlengthPolicy,
        deadline: float,
        lane: Lane,
        caller: str,
        span: object | None,
    ) -> _Submitted | SidecarError:
        token_ids, tokens = content.token_ids, len(content.token_ids)
        if not tokens:
            return ParagraphError("text has no character that the model can read; send at least one visible character")
        try:
            chunks = self._split(model, tokens, policy)
            sequences = [model.tokenizer.wrap(token_ids[chunk.start : chunk.stop]) for chunk in chunks]
            requests = []
            for sequence in sequences:
                length = model.lengths.fit(len(sequence))
                cost = model.lengths.cost(length)
                requests.append(Request(sequence, length, model.version, deadline, lane, span, caller, cost))
            return _Submitted(tokens, content.flags, chunks, self._batcher.submit(requests))
        except SidecarError as error:
            return error


def _results(paragraphs: "Iterable[_Submitted | SidecarError]") -> "list[asyncio.Future[Scored]]":
    return [result for paragraph in paragraphs if isinstance(paragraph, _Submitted) for result in paragraph.results]


async def _results_before(futures: Sequence[asyncio.Future[Scored]], seconds: float) -> list[Scored | BaseException]:
    """The results that are available within `seconds`, and a DeadlineError for each other future.

    The other futures are cancelled, also if the call is cancelled, so that the batcher drops their
    requests.
    """
    try:
        if futures:
            await asyncio.wait(futures, timeout=None if seconds == math.inf else max(0.0, seconds))
    finally:
        for future in futures:
            future.cancel()
    return [_result(future) for future in futures]


def _result(future: asyncio.Future[Scored]) -> Scored | BaseException:
    if future.cancelled():
        return DeadlineError("the deadline passed before the paragraph was scored: set a longer deadline")
    return future.exception() or future.result()


def _merge_results(
    model: Model, paragraph: _Submitted, results: Sequence[Scored | BaseException], policy: OverlengthPolicy
) -> Outcome:
    probabilities = []
    for result in results:
        if isinstance(result, BaseException):
            return result
        probabilities.append(result.probabilities)
    contract = model.contract
    merged = merge(
        probabilities, paragraph.chunks, policy, is_multi_label=contract.is_multi_label, neutral=contract.neutral_index
    )
    return Classified(
        probabilities=merged,
        tokens=paragraph.tokens + model.tokenizer.special_tokens,
        truncated=paragraph.chunks[-1].stop < paragraph.tokens,
        chunks=len(probabilities),
        flags=paragraph.flags,
    )


def _stage_seconds(tokenize: float, results: Iterable[Scored | BaseException]) -> StageSeconds:
    scored = [result for result in results if isinstance(result, Scored)]
    return StageSeconds(
        tokenize=tokenize,
        queue=max((result.queue_seconds for result in scored), default=0.0),
        predict=max((result.predict_seconds for result in scored), default=0.0),
    )
