"""The content of the page, computed from the scores."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from undertone_cli.formatting import by_frequency
from undertone_cli.report.arcs import Course, describe_story
from undertone_cli.report.bins import Bins, read_bins
from undertone_cli.report.chapters import DEFAULT_COLUMN, DOCUMENT_COLUMN, Chapter, column_chapters, heading_chapters
from undertone_cli.report.comparison import Comparison, StoryChange
from undertone_cli.report.palette import emotion_indices, is_emotion, reading_order
from undertone_cli.report.stories import StoryPlan, StoryRange, plan_stories, title_of
from undertone_cli.report.summary import FailureGroup, LabelTotal, describe_totals
from undertone_cli.report.survey import Survey, read_parts, survey
from undertone_cli.report.throughput_chart import ThroughputChart, throughput_chart
from undertone_cli.report.valence import Valence
from undertone_cli.run_folder import Manifest, RunFolder

MAX_SHOWN = 12
"""Labels in charts. More than a dozen colors cannot be told apart."""
MAX_TABLE_ROWS = 1_000
"""Rows of a table of stories. The list of stories has all of them."""
STRONGEST = 3
"""Strongest paragraphs of each label."""


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What the page contains.

    Attributes:
        headings: whether to find chapters by the headings in text inputs, which are read again.
        chapter_column: the column with the chapter of each paragraph. `document` makes all
            documents the chapters of one story.  [default: `chapter`, if the run kept it]
    """

    headings: bool = False
    chapter_column: str | None = None


@dataclass(frozen=True, slots=True)
class StoryView:
    """A story on the page. Lists by label are in the order of the page's labels.

    Attributes:
        number: its number, from 1.
        story: its range.
        title: its title.
        course: its groups, with the means of the shown labels.
        sentence: the sentence about its arc.
        leading: index of the label with the highest mean. It is neutral only without other labels.
        means: mean probability of each label.
        confidence: mean of the highest probability of a paragraph.
        valence: mean valence. None if it is unknown.
        chapters: its chapters.
        change: its changes since the older run. None without an older run.
    """

    number: int
    story: StoryRange
    title: str
    course: Course
    sentence: str
    leading: int
    means: Sequence[float]
    confidence: float
    valence: float | None
    chapters: Sequence[Chapter]
    change: StoryChange | None


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template shows. Lists by label are in the order of `survey.labels`.

    `shown` has the indexes of the labels in charts.
    """

    name: str
    run: Manifest
    survey: Survey
    plan: StoryPlan
    bins: Bins
    shown: Sequence[int]
    stories: Sequence[StoryView]
    valence: Valence | None
    failures: Sequence[FailureGroup]
    throughput: ThroughputChart | None
    comparison: Comparison | None

    @property
    def labels(self) -> Sequence[LabelTotal]:
        """Totals of each label."""
        return self.survey.labels

    @property
    def by_share(self) -> list[int]:
        """Indexes of the labels, the most frequent first."""
        return _by_share(self.labels)

    @property
    def sentence(self) -> str:
        """The sentence about the most frequent labels."""
        return describe_totals(self.labels, self.survey.unlabelled / self.paragraphs if self.multi_label else None)

    @property
    def paragraphs(self) -> int:
        """Scored paragraphs."""
        return self.survey.paragraphs

    @property
    def documents(self) -> int:
        """Documents, on the page or not."""
        return len(self.survey.documents)

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
    def numbers(self) -> dict[str, int]:
        """Number of the story in which each document is drawn."""
        return {name: story + 1 for name, (story, _) in self.plan.placements.items()}

    @property
    def changed_stories(self) -> list[StoryView]:
        """The compared stories with the largest share of changed labels, at most MAX_TABLE_ROWS."""
        compared = [(view.change.share, view) for view in self.stories if view.change is not None]
        return [view for _, view in sorted(compared, key=lambda pair: -pair[0])[:MAX_TABLE_ROWS]]

    @property
    def has_chapters(self) -> bool:
        """Whether a story has chapters."""
        return any(view.chapters for view in self.stories)

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
        strongest = {paragraph.text_sha256 for paragraphs in self.survey.strongest for paragraph in paragraphs}
        changed = self.comparison.paragraphs if self.comparison else ()
        return strongest | {paragraph.text_sha256 for paragraph in changed}


def compose(
    folder: RunFolder,
    run: Manifest,
    failures: Sequence[FailureGroup],
    options: PageOptions,
    comparison: Comparison | None = None,
) -> Page:
    """Compute the page. Reads the scores two or three times, part by part.

    Raises:
        OutputError: there are no scores, the run is damaged, or it has no such chapter column.
    """
    labels = reading_order(run.identity.labels)
    found = survey(folder, run, labels, strongest=STRONGEST)
    plan = plan_stories(run.identity, found.documents, join=options.chapter_column == DOCUMENT_COLUMN)
    valence = Valence.of(labels)
    bins = read_bins(read_parts(folder, run.identity), plan, labels, valence)
    shown = sorted(_by_share(found.labels)[:MAX_SHOWN])
    chapters = _chapters(folder, run, plan, options)
    return Page(
        name=folder.path.resolve().name,
        run=run,
        survey=found,
        plan=plan,
        bins=bins,
        shown=shown,
        stories=list(_views(plan, bins, labels, shown, chapters, comparison)),
        valence=valence,
        failures=failures,
        throughput=throughput_chart(run.throughput),
        comparison=comparison,
    )


def _by_share(labels: Sequence[LabelTotal]) -> list[int]:
    return sorted(range(len(labels)), key=lambda i: (-labels[i].paragraphs, -labels[i].mean))


def _chapters(folder: RunFolder, run: Manifest, plan: StoryPlan, options: PageOptions) -> dict[int, list[Chapter]]:
    column = options.chapter_column or (DEFAULT_COLUMN if DEFAULT_COLUMN in run.identity.options.keep else None)
    if column is not None:
        return column_chapters(read_parts(folder, run.identity), plan, run.identity, column)
    return heading_chapters(run.identity, plan) if options.headings else {}


def _views(
    plan: StoryPlan,
    bins: Bins,
    labels: Sequence[str],
    shown: Sequence[int],
    chapters: dict[int, list[Chapter]],
    comparison: Comparison | None,
) -> Iterable[StoryView]:
    if not plan.stories:
        return
    first, last, counts = (bins.table[name].to_pylist() for name in ("first", "last", "count"))
    centers = [(one + other) / 2 for one, other in zip(first, last, strict=True)]
    columns = [bins.table[f"m{i}"].to_pylist() for i in range(len(labels))]
    means = list(zip(*(bins.stories[f"m{i}"].to_pylist() for i in range(len(labels))), strict=True))
    confidences = bins.stories["confidence"].to_pylist()
    valences = bins.stories["valence"].to_pylist() if "valence" in bins.stories.column_names else [None] * len(means)
    candidates = emotion_indices(labels)
    for index, (story, (start, end)) in enumerate(zip(plan.stories, pairwise(bins.starts), strict=True)):
        rows = slice(start, end)
        course = Course(story.first, story.span, centers[rows], counts[rows], [column[rows] for column in columns])
        yield StoryView(
            number=index + 1,
            story=story,
            title=title_of(story.document),
            course=course,
            sentence=describe_story(course, labels, bins.peaks[index], place_names(plan)),
            leading=max(candidates, key=means[index].__getitem__),
            means=means[index],
            confidence=confidences[index],
            valence=valences[index],
            chapters=chapters.get(index, ()),
            change=comparison.stories.get(story.document) if comparison else None,
        )


def place_names(plan: StoryPlan) -> Callable[[int], str]:
    """Names places by their position: "paragraph 12", or "chapter-3, paragraph 12"."""
    if not plan.joined:
        return lambda place: f"paragraph {place}"
    chapters = sorted((place, name) for name, place in plan.joined.items())

    def name(place: int) -> str:
        document = next(name for start, name in reversed(chapters) if start <= place)
        return f"{document}, paragraph {place - plan.placements[document][1]}"

    return name


def changed_counts(page: Page) -> list[int] | None:
    """Number of paragraphs with changed labels in each group. None without a comparison."""
    if page.comparison is None or not page.stories:
        return None
    return page.bins.count(page.plan, page.comparison.places)
