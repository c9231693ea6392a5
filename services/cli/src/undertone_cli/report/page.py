"""What the page shows, worked out from the scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from undertone_cli.job.manifest import Manifest
from undertone_cli.report.charts import Ridgeline, ridgeline, rise_for, thumbnail
from undertone_cli.report.course import Course, course
from undertone_cli.report.emotions import Emotion, Paragraph, emotions, strongest
from undertone_cli.report.failures import FailureGroup
from undertone_cli.report.narrative import describe_arc, describe_run
from undertone_cli.report.palette import emotional, reading_order
from undertone_cli.report.story import Story, count_documents, read_stories

MAX_ARCS = 24
"""Stories drawn in full."""
MAX_STORIES = 120
"""Stories in the comparison."""
STRONGEST = 3
"""Paragraphs shown per emotion."""


@dataclass(frozen=True, slots=True)
class StoryView:
    """A story as the page shows it; `chart` only where it is drawn in full."""

    anchor: str
    story: Story
    sentence: str
    leading: int
    thumbnail: Sequence[str]
    chart: Ridgeline | None


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template shows; emotions are in reading order, and so is whatever is listed by emotion."""

    name: str
    run: Manifest
    sentence: str
    emotions: Sequence[Emotion]
    by_share: Sequence[int]
    strongest: Sequence[Sequence[Paragraph]]
    stories: Sequence[StoryView]
    peak: float
    documents: int
    paragraphs: int
    tokens: int
    truncated: int
    chunked: int
    failures: Sequence[FailureGroup]
    course: Course | None

    @property
    def arcs(self) -> list[StoryView]:
        """The stories drawn in full."""
        return [view for view in self.stories if view.chart]

    @property
    def rise(self) -> float:
        """How far a probability of 1 rises in the arcs."""
        return rise_for(self.peak)

    @property
    def anchors(self) -> dict[str, str]:
        """Where on the page a document is drawn."""
        return {view.story.document: view.anchor for view in self.arcs}

    @property
    def speed(self) -> float:
        """Paragraphs per second, 0 when no time was taken."""
        return self.paragraphs / self.run.seconds if self.run.seconds else 0.0

    @property
    def attempts(self) -> list[tuple[str, int, float]]:
        """Attempts of calls by gRPC status, with their shares: OK first, then the most frequent."""
        attempts = self.run.calls.attempts
        total = sum(attempts.values())
        ranked = sorted(attempts.items(), key=lambda pair: (pair[0] != "OK", -pair[1], pair[0]))
        return [(status, count, count / total) for status, count in ranked]

    @property
    def failed(self) -> int:
        """Paragraphs without a score."""
        return sum(group.count for group in self.failures)

    @property
    def hashes(self) -> set[str]:
        """Hashes of the paragraphs whose text the page would show."""
        return {paragraph.text_sha256 for paragraphs in self.strongest for paragraph in paragraphs}


def compose(name: str, run: Manifest, scores: pa.Table, failures: Sequence[FailureGroup]) -> Page:
    """Work out everything that the page shows. `scores` is sorted by document and position and not empty."""
    labels = reading_order(run.identity.labels)
    totals = emotions(scores, labels)
    stories = read_stories(scores, labels, limit=MAX_STORIES)
    peak = max(max(values) for story in stories for values in story.arc.values)
    return Page(
        name=name,
        run=run,
        sentence=describe_run(totals),
        emotions=totals,
        by_share=sorted(range(len(labels)), key=lambda i: (-totals[i].leading, -totals[i].mean)),
        strongest=[strongest(scores, label, count=STRONGEST) for label in labels],
        stories=_views(stories, labels, rise_for(peak)),
        peak=peak,
        documents=count_documents(scores),
        paragraphs=scores.num_rows,
        tokens=pc.sum(scores["tokens"]).as_py(),
        truncated=pc.sum(scores["truncated"]).as_py(),
        chunked=pc.sum(pc.greater(scores["chunks"], 1)).as_py(),
        failures=failures,
        course=course(run.throughput),
    )


def _views(stories: Sequence[Story], labels: Sequence[str], rise: float) -> list[StoryView]:
    drawn = {story.document for story in sorted(stories, key=lambda story: -story.paragraphs)[:MAX_ARCS]}
    return [
        StoryView(
            anchor=f"story-{number}",
            story=story,
            sentence=describe_arc(story.arc, labels),
            leading=max(emotional(labels), key=story.means.__getitem__),
            thumbnail=thumbnail(story.arc),
            chart=ridgeline(story.arc, story.bins, labels, rise=rise) if story.document in drawn else None,
        )
        for number, story in enumerate(stories, start=1)
    ]
