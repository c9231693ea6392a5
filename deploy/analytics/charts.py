"""The charts of the dashboards, each a query over the views of emotions.stories."""

import enum
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """How a chart shows its rows."""

    LINE = "line"
    """`y` over `x`, one line for each value of `series`."""
    COLUMN = "column"
    """Stacked columns of `y` for each `x`."""
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Attributes:
        title: its title.
        description: what it answers.
        query: SQL of Athena and Trino.
        kind: how it shows the rows.
        x: the column of the horizontal axis.
        y: the column of the vertical axis.
        series: the column that names the lines or the parts of a stack, or "" for one.
    """

    title: str
    description: str
    query: str
    kind: Kind = Kind.TABLE
    x: str = ""
    y: str = ""
    series: str = ""


CHARTS = (
    Chart(
        "Coverage",
        "How many paragraphs have a score of their present text.",
        "SELECT scored, unlabelled, outdated, dead_letters, coverage, deleted, documents, truncated, flagged, tokens,"
        " first_day, last_day\n"
        "FROM emotions.stories_coverage",
    ),
    Chart(
        "Emotions by day",
        "The mean probability of each emotion on each day.",
        "SELECT day, emotion, SUM(mean_probability * paragraphs) / SUM(paragraphs) AS mean_probability\n"
        "FROM emotions.stories_emotions_by_day\nGROUP BY day, emotion\nORDER BY day, emotion",
        Kind.LINE,
        "day",
        "mean_probability",
        "emotion",
    ),
    Chart(
        "Emotions by story",
        "The share of paragraphs that have each emotion, in the 20 longest stories. A paragraph may have several.",
        "SELECT document, emotion, CAST(SUM(labelled_paragraphs) AS DOUBLE) / SUM(paragraphs) AS share\nFROM (\n"
        "  SELECT document, emotion, labelled_paragraphs, paragraphs\n  FROM emotions.stories_emotions_by_story\n"
        "  UNION ALL\n  SELECT document, '(no label)' AS emotion, MAX(unlabelled_paragraphs), MAX(paragraphs)\n"
        "  FROM emotions.stories_emotions_by_story\n  GROUP BY document, model\n) AS labels\nWHERE document IN (\n"
        "  SELECT document FROM emotions.stories_emotions_by_story GROUP BY document ORDER BY MAX(paragraphs) DESC LIMIT 20\n"
        ")\nGROUP BY document, emotion\nHAVING SUM(labelled_paragraphs) > 0\nORDER BY document, emotion",
        Kind.COLUMN,
        "document",
        "share",
        "emotion",
    ),
    Chart(
        "Arc of the longest story",
        "The smoothed course of each emotion through the story with the most paragraphs.",
        "SELECT point, emotion, smoothed\nFROM emotions.stories_arcs\nWHERE document = (\n"
        "  SELECT document FROM emotions.stories_emotions_by_story\n"
        "  GROUP BY document ORDER BY MAX(paragraphs) DESC, document LIMIT 1\n"
        ")\nORDER BY point, emotion",
        Kind.LINE,
        "point",
        "smoothed",
        "emotion",
    ),
    Chart(
        "Strongest paragraphs",
        "The 5 paragraphs with the highest probability of each emotion.",
        "SELECT emotion, rank, id, document, position, probability, has_label\nFROM emotions.stories_strongest_paragraphs\n"
        "WHERE rank <= 5\nORDER BY emotion, rank",
    ),
    Chart(
        "Uncertain paragraphs",
        "The 50 paragraphs whose labels are least certain.",
        "SELECT rank, id, document, position, labels, second_label, margin, entropy\n"
        "FROM emotions.stories_uncertain_paragraphs\nWHERE rank <= 50\nORDER BY rank",
    ),
    Chart(
        "Drift",
        "PSI of emotions, lengths and confidence, less the PSI that samples of this size have without drift."
        " Over 0.1 is moderate, over 0.25 strong.",
        "SELECT day, measure, psi - expected_psi AS excess_psi\nFROM emotions.stories_drift\nORDER BY day, measure",
        Kind.LINE,
        "day",
        "excess_psi",
        "measure",
    ),
    Chart(
        "Dead letters by reason",
        "Paragraphs without a score, by gRPC status and reason.",
        "SELECT status, reason, paragraphs, share, calls, last_failed_at\n"
        "FROM emotions.stories_dead_letters_by_reason\nORDER BY paragraphs DESC",
    ),
)
