"""The content of the page, computed from the scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from undertone_cli.formatting import by_frequency
from undertone_cli.report.arcs import Story, describe_arc, read_stories
from undertone_cli.report.charts import Ridgeline, ThroughputChart, ridge_height, ridgeline, throughput_chart, thumbnail
from undertone_cli.report.data import (
    Emotion,
    FailureGroup,
    StrongParagraph,
    describe_totals,
    emotion_totals,
    strongest_paragraphs,
)
from undertone_cli.report.palette import emotion_indices, reading_order
from undertone_cli.run_folder import Manifest

MAX_ARCS = 24
"""Stories with an arc chart."""
MAX_STORIES = 120
"""Stories with a thumbnail."""
STRONGEST = 3
"""Strongest paragraphs of each emotion."""


@dataclass(frozen=True, slots=True)
class StoryView:
    """A story on the page; `chart` is None if it has only a thumbnail."""

    anchor: str
    story: Story
    sentence: str
    leading: int
    thumbnail: Sequence[str]
    chart: Ridgeline | None


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template shows. Lists by emotion are in the order of `emotions`."""

    name: str
    run: Manifest
    sentence: str
    emotions: Sequence[Emotion]
    by_share: Sequence[int]
    strongest: Sequence[Sequence[StrongParagraph]]
    stories: Sequence[StoryView]
    peak: float
    documents: int
    paragraphs: int
    tokens: int
    truncated: int
    chunked: int
    failures: Sequence[FailureGroup]
    throughput: ThroughputChart | None

    @property
    def arcs(self) -> list[StoryView]:
        """The stories with an arc chart."""
        return [view for view in self.stories if view.chart]

    @property
    def ridge_height(self) -> float:
        """Height of probability 1 in the arc charts."""
        return ridge_height(self.peak)

    @property
    def anchors(self) -> dict[str, str]:
        """Anchor of each document that has an arc chart."""
        return {view.story.document: view.anchor for view in self.arcs}

    @property
    def rate(self) -> float:
        """Paragraphs per second; 0 for a run without duration."""
        return self.paragraphs / self.run.seconds if self.run.seconds else 0.0

    @property
    def attempts(self) -> list[tuple[str, int, float]]:
        """gRPC status, number and share of the attempts of calls."""
        attempts = self.run.calls.attempts
        total = sum(attempts.values())
        return [(status, count, count / total) for status, count in by_frequency(attempts)]

    @property
    def failed(self) -> int:
        """Paragraphs without a score."""
        return sum(group.count for group in self.failures)

    @property
    def hashes(self) -> set[str]:
        """Hashes of the texts that the page quotes."""
        return {paragraph.text_sha256 for paragraphs in self.strongest for paragraph in paragraphs}


def compose(name: str, run: Manifest, scores: pa.Table, failures: Sequence[FailureGroup]) -> Page:
    """Compute the page. `scores` is sorted by document and position, and is not empty."""
    labels = reading_order(run.identity.labels)
    totals = emotion_totals(scores, labels)
    stories = read_stories(scores, labels, limit=MAX_STORIES)
    peak = max(max(values) for story in stories for values in story.arc.values)
    return Page(
        name=name,
        run=run,
        sentence=describe_totals(totals),
        emotions=totals,
        by_share=sorted(range(len(labels)), key=lambda i: (-totals[i].leading, -totals[i].mean)),
        strongest=[strongest_paragraphs(scores, label, count=STRONGEST) for label in labels],
        stories=_views(stories, labels, ridge_height(peak)),
        peak=peak,
        documents=len(scores["document"].unique()),
        paragraphs=scores.num_rows,
        tokens=pc.sum(scores["tokens"]).as_py(),
        truncated=pc.sum(scores["truncated"]).as_py(),
        chunked=pc.sum(pc.greater(scores["chunks"], 1)).as_py(),
        failures=failures,
        throughput=throughput_chart(run.throughput),
    )


def _views(stories: Sequence[Story], labels: Sequence[str], height: float) -> list[StoryView]:
    with_chart = {story.document for story in sorted(stories, key=lambda story: -story.paragraphs)[:MAX_ARCS]}
    return [
        StoryView(
            anchor=f"story-{number}",
            story=story,
            sentence=describe_arc(story.arc, labels),
            leading=max(emotion_indices(labels), key=story.means.__getitem__),
            thumbnail=thumbnail(story.arc),
            chart=ridgeline(story.arc, story.bins, labels, height=height) if story.document in with_chart else None,
        )
        for number, story in enumerate(stories, start=1)
    ]
