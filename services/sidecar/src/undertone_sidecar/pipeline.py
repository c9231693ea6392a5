"""A request's way through the sidecar: admit, tokenize, cut, batch, merge."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final

from undertone_sidecar.batching import Batcher, Encoded, Lane, Scored
from undertone_sidecar.chunks import Policy, Probabilities, Window, merge, plan
from undertone_sidecar.errors import (
    DeadlineError,
    ModelServerLostError,
    OverloadedError,
    ParagraphError,
    RetryableError,
    SidecarError,
    UnavailableError,
    VersionGoneError,
)
from undertone_sidecar.events import Listener, Tokenized, ignore
from undertone_sidecar.limits import Limits
from undertone_sidecar.model import Model, Models
from undertone_sidecar.tokenizer import TokenIds

_VERSIONS_PER_REQUEST: Final = 5


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What a caller sent."""

    text: str
    id: str


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """One paragraph's answer. `tokens` counts the whole paragraph and one set of special tokens, whatever was cut."""

    probabilities: Probabilities
    tokens: int
    truncated: bool
    chunks: int


Outcome = Classified | BaseException
"""An answer, or why this paragraph has none."""


@dataclass(frozen=True, slots=True)
class Stages:
    """Seconds in each stage: the longest of the request's paragraphs."""

    tokenize: float
    queue: float
    predict: float


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One outcome for each paragraph, in order, all of the same model."""

    model: Model
    outcomes: tuple[Outcome, ...]
    stages: Stages


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """One paragraph on its way: its tokens without special ones, its windows, and the answers to come for them."""

    tokens: int
    windows: Sequence[Window]
    answers: Sequence[asyncio.Future[Scored]]


def no_origin() -> None:
    """Of requests that nobody follows."""


class Pipeline:
    """Scores paragraphs, each on its own account: what is wrong with one is the outcome of that one only."""

    def __init__(
        self,
        models: Models,
        batcher: Batcher,
        limits: Limits,
        *,
        overlap: int,
        max_inside: int,
        clock: Callable[[], float] = time.monotonic,
        listener: Listener = ignore,
        origin: Callable[[], object | None] = no_origin,
    ) -> None:
        """`overlap` is the tokens that neighbouring chunks share. At most `max_inside` paragraphs of a lane are on their way at
        once, which bounds what is not counted in tokens yet. `clock` is the batcher's, and that of deadlines. `origin` is asked
        within each request what stands for it; see Encoded."""
        self._models = models
        self._batcher = batcher
        self._limits = limits
        self._overlap = overlap
        self._max_inside = max_inside
        self._clock = clock
        self._listener = listener
        self._origin = origin
        self._inside: Counter[Lane] = Counter()

    def model(self) -> Model:
        """The model that is served. Raises UnavailableError."""
        return self._models.current()

    async def classify(
        self, paragraphs: Sequence[Paragraph], policy: Policy, deadline: float, lane: Lane = Lane.ONLINE
    ) -> Answer:
        """Raises SidecarError only where nothing could be tried: no model, no room, no time."""
        if deadline <= self._clock():
            raise DeadlineError("the deadline had passed when the request was read; allow more time")
        outcomes: list[Outcome | None] = [self._refusal(paragraph) for paragraph in paragraphs]
        texts = [paragraph.text for paragraph, refusal in zip(paragraphs, outcomes, strict=True) if refusal is None]
        model = self._models.current()
        answer = Answer(model, (), Stages(0.0, 0.0, 0.0))
        if texts:
            with self._entered(lane, len(texts)):
                answer = await self._score(model, texts, policy, deadline, lane)
            scored = iter(answer.outcomes)
            outcomes = [next(scored) if outcome is None else outcome for outcome in outcomes]
        return Answer(answer.model, tuple(outcome for outcome in outcomes if outcome is not None), answer.stages)

    def _refusal(self, paragraph: Paragraph) -> ParagraphError | None:
        try:
            self._limits.check_paragraph(paragraph.text, paragraph.id)
        except ParagraphError as error:
            return error
        return None

    @contextmanager
    def _entered(self, lane: Lane, paragraphs: int) -> Iterator[None]:
        inside = self._inside[lane]
        if inside and inside + paragraphs > self._max_inside:
            raise OverloadedError(
                f"{inside} paragraphs of the lane {lane.value} are being worked on and the limit is {self._max_inside}: "
                "come back later"
            )
        self._inside[lane] += paragraphs
        try:
            yield
        finally:
            self._inside[lane] -= paragraphs

    async def _score(self, model: Model, texts: Sequence[str], policy: Policy, deadline: float, lane: Lane) -> Answer:
        """Scores all texts with one version; starts again with its successor if it goes away meanwhile."""
        for _ in range(_VERSIONS_PER_REQUEST):
            answer = await self._score_with(model, texts, policy, deadline, lane)
            if not any(isinstance(outcome, VersionGoneError) for outcome in answer.outcomes):
                return answer
            model = await self._models.renewed()
        raise UnavailableError(
            f"the model server changed versions {_VERSIONS_PER_REQUEST} times during the request: come back later"
        )

    async def _score_with(self, model: Model, texts: Sequence[str], policy: Policy, deadline: float, lane: Lane) -> Answer:
        started = self._clock()
        contents = await model.tokenizer.encode(texts)
        tokenized = self._clock()
        self._listener(Tokenized(len(texts), sum(map(len, contents)), tokenized - started))
        origin = self._origin()
        jobs = [self._submit(model, content, policy, deadline, lane, origin) for content in contents]
        refusals = [job for job in jobs if isinstance(job, RetryableError)]
        if len(refusals) == len(jobs):
            raise refusals[0]
        # Cancelling the request cancels the gathering, and with it every future that it waits for: the batcher skips those.
        futures = [answer for job in jobs if isinstance(job, _Job) for answer in job.answers]
        scored = await asyncio.gather(*futures, return_exceptions=True)
        if any(isinstance(score, ModelServerLostError) for score in scored):
            self._models.suspect()
        rest = iter(scored)
        outcomes = tuple(
            _outcome(model, job, list(islice(rest, len(job.answers))), policy) if isinstance(job, _Job) else job for job in jobs
        )
        return Answer(model, outcomes, _stages(tokenized - started, scored))

    def _submit(
        self, model: Model, content: TokenIds, policy: Policy, deadline: float, lane: Lane, origin: object | None
    ) -> _Job | SidecarError:
        if not len(content):
            return ParagraphError("text has no character that the model can read; send at least one visible character")
        try:
            cut = plan(len(content), width=model.width, overlap=self._overlap, policy=policy)
            pieces = [model.tokenizer.wrap(content[window.start : window.stop]) for window in cut]
            items = [Encoded(ids, model.lengths.fit(len(ids)), model.version, deadline, lane, origin) for ids in pieces]
            return _Job(len(content), cut, self._batcher.submit(items))
        except SidecarError as error:
            return error


def _outcome(model: Model, job: _Job, scored: Sequence[Scored | BaseException], policy: Policy) -> Outcome:
    pieces = []
    for score in scored:
        if isinstance(score, BaseException):
            return score
        pieces.append(score.probabilities)
    return Classified(
        probabilities=merge(pieces, job.windows, policy),
        tokens=job.tokens + model.tokenizer.special_tokens,
        truncated=job.windows[-1].stop < job.tokens,
        chunks=len(pieces),
    )


def _stages(tokenize: float, scored: Iterable[Scored | BaseException]) -> Stages:
    answered = [score for score in scored if isinstance(score, Scored)]
    return Stages(
        tokenize=tokenize,
        queue=max((score.queue_seconds for score in answered), default=0.0),
        predict=max((score.predict_seconds for score in answered), default=0.0),
    )
