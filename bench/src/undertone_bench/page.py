"""Reports in a document: between a pair of markers, which the command alone fills.

<!-- report: throughput-bert-base-fp32 -->
<!-- end of report -->
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from undertone_bench.errors import BenchError
from undertone_bench.report import Figure, Report, Table

_BLOCK: Final = re.compile(r"(<!-- report: (\S+) -->\n).*?(<!-- end of report -->)", re.DOTALL)


def filled(document: str, reports: Mapping[str, Report], picture: Callable[[Report], str]) -> str:
    """The document with each marked place filled anew; `picture` gives the path of a report's plot, as the document sees it.

    Raises BenchError if a place is for a report that there is not, or a report has no place.
    """
    if unknown := sorted(places(document) - set(reports)):
        raise BenchError(f"there is no report {', '.join(unknown)}; measure it, or take its place out of the document")
    if missing := sorted(set(reports) - places(document)):
        raise BenchError(f"no place for {', '.join(missing)}; write the marker <!-- report: {missing[0]} --> and its end")
    return _BLOCK.sub(lambda found: f"{found[1]}{block(reports[found[2]], picture)}{found[3]}", document)


def places(document: str) -> set[str]:
    """The names of the reports that have one."""
    return {found[2] for found in _BLOCK.finditer(document)}


def block(report: Report, picture: Callable[[Report], str]) -> str:
    """A report in Markdown."""
    parts = [_markdown(report.table)]
    if report.figures:
        parts.append(_markdown(Table(("figure", "median (least to most)", "goal"), tuple(map(_row, report.figures)))))
    parts += report.notes
    parts.append(f"![{report.plot.title}]({picture(report)})")
    parts.append(f"`{report.command}`, {report.taken}; {report.environment}.")
    return "".join(f"\n{part}\n" for part in parts) + "\n"


def read_reports(folder: Path) -> dict[str, Report]:
    """All in a folder, by name."""
    return {report.name: report for report in (Report.read(path) for path in sorted(folder.glob("*.json")))}


def _row(figure: Figure) -> tuple[str, ...]:
    if figure.goal is None:
        return figure.name, f"{figure.spread:{figure.form}}", ""
    verdict = "reached" if figure.goal.is_met(figure.spread) else "**missed**"
    return figure.name, f"{figure.spread:{figure.form}}", f"{figure.goal.level} {figure.goal.value:g}: {verdict}"


def _markdown(table: Table) -> str:
    rows = (table.header, ("---",) * len(table.header), *table.rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
