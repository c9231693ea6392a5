"""The content of the page, computed from the scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from undertone_cli.formatting import by_frequency
from undertone_cli.report.arcs import Story, describe_arc, read_stories
from undertone_cli.report.charts import (
    Ridgeline,
    ridge_height,
    ridgeline,
    stack_top,
    thumbnail,
)
from undertone_cli.report.data import (
    FailureGroup,
    LabelTotal,
    StrongParagraph,
    describe_totals,
    label_totals,
    strongest_paragraphs,
    unlabelled_paragraphs,
)
from undertone_cli.report.palette import emotion_indices, is_emotion, reading_order
from undertone_cli.report.throughput_chart import ThroughputChart, throughput_chart
from undertone_cli.run_folder import Manifest

MAX_ARCS = 24
"""Stories with an arc chart."""
MAX_STORIES = 120
"""Stories with a thumbnail."""
MAX_SHOWN = 12
"""Labels in charts. More than a dozen colors cannot be told apart."""
STRONGEST = 3
"""Strongest paragraphs of each label."""


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
    """Everything that the template shows. Lists by label are in the order of `labels`.

    `shown` has the indexes of the labels in charts, and `stack_top` the sum of probabilities that
    fills the frame of a thumbnail. `ridge_height` is the height of probability 1 in the arc charts.
    """

    name: str
    run: Manifest
    sentence: str
    labels: Sequence[LabelTotal]
    by_share: Sequence[int]
    shown: Sequence[int]
    unlabelled: int
    stack_top: float
    strongest: Sequence[Sequence[StrongParagraph]]
    stories: Sequence[StoryView]
    peak: float
    ridge_height: float
    documents: int
    paragraphs: int
    tokens: int
    truncated: int
    chunked: int
    failures: Sequence[FailureGroup]
    throughput: ThroughputChart | None

    @property
    def multi_label(self) -> bool:
        """Whether a paragraph can have any number of labels."""
        return self.run.identity.multi_label

    @property
    def has_emotions(self) -> bool:
        """Whether the labels are emotions: at least one is known."""
        return any(is_emotion(label.label) for label in self.labels)

    @property
    def mean_labels(self) -> float:
        """Mean number of labels of a paragraph."""
        return sum(label.paragraphs for label in self.labels) / self.paragraphs

    @property
    def arcs(self) -> list[StoryView]:
        """The stories with an arc chart."""
        return [view for view in self.stories if view.chart]

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
    totals = label_totals(scores, run.identity, labels)
    by_share = sorted(range(len(labels)), key=lambda i: (-totals[i].paragraphs, -totals[i].mean))
    shown = sorted(by_share[:MAX_SHOWN])
    unlabelled = unlabelled_paragraphs(scores, run.identity)
    stories = read_stories(scores, labels, shown, limit=MAX_STORIES)
    top = stack_top([story.arc for story in stories]) if run.identity.multi_label else 1.0
    peak = max(max(values) for story in stories for values in story.arc.values)
    height = ridge_height(peak, max(totals[i].threshold or 0.0 for i in shown))
    return Page(
        name=name,
        run=run,
        sentence=describe_totals(totals, unlabelled / scores.num_rows if run.identity.multi_label else None),
        labels=totals,
        by_share=by_share,
        shown=shown,
        unlabelled=unlabelled,
        stack_top=top,
        strongest=[strongest_paragraphs(scores, label, count=STRONGEST) for label in labels],
        stories=_views(stories, labels, shown, height=height, top=top),
        peak=peak,
        ridge_height=height,
        documents=len(scores["document"].unique()),
        paragraphs=scores.num_rows,
        tokens=pc.sum(scores["tokens"]).as_py(),
        truncated=pc.sum(scores["truncated"]).as_py(),
        chunked=pc.sum(pc.greater(scores["chunks"], 1)).as_py(),
        failures=failures,
        throughput=throughput_chart(run.throughput),
    )


def _views(
    stories: Sequence[Story], labels: Sequence[str], shown: Sequence[int], *, height: float, top: float
) -> list[StoryView]:
    with_chart = {story.document for story in sorted(stories, key=lambda story: -story.paragraphs)[:MAX_ARCS]}
    return [
        StoryView(
            anchor=f"story-{number}",
            story=story,
            sentence=describe_arc(story.arc, [labels[i] for i in shown]),
            leading=max(emotion_indices(labels), key=story.means.__getitem__),
            thumbnail=thumbnail(story.arc, top=top),
            chart=ridgeline(story, labels, shown, height=height) if story.document in with_chart else None,
        )
        for number, story in enumerate(stories, start=1)
    ]
