"""The check of a view's name, and the description of all views, for the commands."""

from collections.abc import Collection

from undertone_client.errors import SettingsError

from undertone_cli.sql.session import MISSING_EXTRA
from undertone_cli.view_names import COMPARISONS


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
