"""The page itself: scores in, one HTML document out, with nothing in it that a browser would have to fetch."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

import jinja2
import pyarrow as pa
import pyarrow.compute as pc

from undertone_client.job.manifest import Manifest
from undertone_client.report import numerals
from undertone_client.report.charts import HEADROOM, PITCH, THUMB_HEIGHT, WIDTH, Ridgeline, common_rise, ridgeline, thumbnail
from undertone_client.report.emotions import Emotion, Paragraph, emotions, strongest
from undertone_client.report.failures import FailureGroup
from undertone_client.report.narrative import describe_arc, describe_run
from undertone_client.report.palette import emotional, reading_order, tones
from undertone_client.report.story import Story, count_documents, read_stories, title_of

MAX_ARCS = 24
"""Stories drawn in full."""
MAX_STORIES = 120
"""Stories in the comparison."""
STRONGEST = 3
"""Paragraphs shown per emotion."""
MAX_CHARACTERS = 700
"""Characters shown of a paragraph's text."""

_NOWHERE = "base-uri 'none'; form-action 'none'"


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
    rise: float
    documents: int
    paragraphs: int
    tokens: int
    truncated: int
    chunked: int
    failures: Sequence[FailureGroup]

    @property
    def arcs(self) -> list[StoryView]:
        return [view for view in self.stories if view.chart]

    @property
    def anchors(self) -> dict[str, str]:
        """Where on the page a document is drawn."""
        return {view.story.document: view.anchor for view in self.arcs}

    @property
    def speed(self) -> float:
        """Paragraphs per second, 0 when no time was taken."""
        return self.paragraphs / self.run.seconds if self.run.seconds else 0.0

    @property
    def failed(self) -> int:
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
    rise = common_rise(story.arc for story in stories)
    return Page(
        name=name,
        run=run,
        sentence=describe_run(totals),
        emotions=totals,
        by_share=sorted(range(len(labels)), key=lambda i: (-totals[i].leading, -totals[i].mean)),
        strongest=[strongest(scores, label, count=STRONGEST) for label in labels],
        stories=_views(stories, labels, rise),
        rise=rise,
        documents=count_documents(scores),
        paragraphs=scores.num_rows,
        tokens=pc.sum(scores["tokens"]).as_py(),
        truncated=pc.sum(scores["truncated"]).as_py(),
        chunked=pc.sum(pc.greater(scores["chunks"], 1)).as_py(),
        failures=failures,
    )


def render(page: Page, texts: Mapping[str, str] | None = None) -> str:
    """The HTML document. `texts` by hash, for the paragraphs it shows; None means that none were asked for."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": numerals.percent,
        "number": numerals.number,
        "duration": numerals.duration,
        "moment": numerals.moment,
        "title_of": title_of,
        "nth": numerals.paragraph_number,
    }
    environment.globals |= {
        "pitch": PITCH,
        "headroom": HEADROOM,
        "width": WIDTH,
        "thumb_height": THUMB_HEIGHT,
        "max_characters": MAX_CHARACTERS,
    }
    style = environment.get_template("report.css").render(tones=tones([emotion.label for emotion in page.emotions]))
    script = (files(__package__) / "page" / "report.js").read_text(encoding="utf-8")
    return environment.get_template("report.html").render(
        page=page,
        texts=texts,
        missing=len(page.hashes - texts.keys()) if texts is not None else 0,
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; {_NOWHERE}",
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


def _source(content: str) -> str:
    """The Content-Security-Policy source that allows an inline element with exactly this content."""
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
