"""Names of the views for the commands, whose --help works without sqlglot."""

from collections.abc import Collection

from undertone_client.errors import SettingsError

from undertone_cli.sql.session import MISSING_EXTRA

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


def check_view(name: str, allowed: Collection[str]) -> None:
    """Raises SettingsError if there is no such view."""
    if name not in allowed:
        other = " (it compares two tables: use undertone compare)" if name in COMPARISONS else ""
        raise SettingsError(f"--view {name!r} is invalid{other}: use one of {', '.join(allowed)}")


def describe_views() -> str:
    """The views, their columns and their meaning. Raises SettingsError without sqlglot."""
    try:
        from undertone_cli.analytics import VIEWS
    except ImportError:
        raise SettingsError(MISSING_EXTRA) from None
    lines = []
    for view in VIEWS.values():
        command = "undertone compare" if view.compares else "undertone sql"
        lines += [f"{view.name}  ({command} --view {view.name})", f"  {view.description}"]
        width = max(map(len, view.columns))
        lines += [f"    {name:{width}}  {meaning}" for name, meaning in view.columns.items()]
        lines.append("")
    return "\n".join(lines).rstrip()
