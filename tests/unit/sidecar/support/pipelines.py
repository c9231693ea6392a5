"""Pipelines with a fake model server, on a fake clock."""

import math
from collections.abc import Sequence

from undertone_sidecar.answers import Answer, Paragraph
from undertone_sidecar.batching import BatchLimits, MicroBatcher
from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.model import Model
from undertone_sidecar.pipeline import Pipeline
from undertone_sidecar.request_limits import RequestLimits
from undertone_sidecar.testing import FakeBackend, FakeClock

LIMITS = RequestLimits(paragraph_bytes=2000, paragraph_characters=1500, batch_paragraphs=50, batch_bytes=50_000)
SENTENCE = "The rain had stopped, and she laughed at last. "


class FakeModels:
    """Serves the first model. Each refresh replaces it with the next one."""

    def __init__(self, *models: Model) -> None:
        self.models = list(models)

    def current(self) -> Model:
        return self.models[0]

    async def refresh(self) -> Model:
        self.models = self.models[1:] or self.models
        return self.models[0]

    def report_failure(self) -> None:
        pass


def batch_limits(queue_tokens: int = 10_000) -> BatchLimits:
    return BatchLimits(budget=128, slots=1, queue_tokens=queue_tokens, batch_share=0.1)


def make_pipeline(
    backend: FakeBackend, models: Sequence[Model], *, queue_tokens: int = 10_000, max_paragraphs: int = 1000
) -> Pipeline:
    limits = batch_limits(queue_tokens)
    batcher = MicroBatcher(backend, limits, call_seconds=30, margin_seconds=0, clock=FakeClock())
    return Pipeline(FakeModels(*models), batcher, LIMITS, overlap=8, max_paragraphs=max_paragraphs, clock=FakeClock())


async def classify(pipeline: Pipeline, *texts: str, policy: OverlengthPolicy = OverlengthPolicy.CHUNK_MEAN) -> Answer:
    return await pipeline.classify([Paragraph(text, "") for text in texts], policy, math.inf)
