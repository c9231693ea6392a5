"""Names of the SQL views, each after those that it uses. Needs no sqlglot, as `--help` does not."""

VIEW_NAMES = (
    "paragraphs",
    "emotions_long",
    "emotions_by_story",
    "emotions_by_day",
    "arcs",
    "strongest_paragraphs",
    "uncertain_paragraphs",
    "drift_by_bin",
    "drift",
    "coverage",
    "coverage_by_day",
    "dead_letters_by_reason",
)
"""Views of one table."""

COMPARISONS = ("changed_paragraphs", "changes", "label_flips", "probability_shifts")
"""Views of two tables."""
