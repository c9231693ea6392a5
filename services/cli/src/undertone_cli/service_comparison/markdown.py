"""A comparison as Markdown, for example for a comment on a pull request."""

from collections.abc import Sequence

from undertone_cli.readers import printable
from undertone_cli.service_comparison.figures import Comparison
from undertone_cli.service_comparison.tables import tables

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#&~"})


def markdown(comparison: Comparison, verdict: str) -> str:
    """The tables of a comparison. `verdict` is the first sentence."""
    parts = [f"# {comparison.baseline.model} and {comparison.candidate.model}", _escaped(verdict)]
    for each in tables(comparison):
        lines = [f"## {each.title}", "", _row(each.columns)]
        lines.append(_row(["---" if number < each.names else "--:" for number in range(len(each.columns))], escape=False))
        lines += map(_row, each.rows)
        if each.note:
            lines += ["", each.note]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _row(cells: Sequence[str], *, escape: bool = True) -> str:
    return f"| {' | '.join(map(_escaped, cells) if escape else cells)} |"


def _escaped(text: str) -> str:
    return printable(text).translate(_SPECIAL)
