"""Summaries in the page on performance.

A summary is written between a pair of markers with its name:

    <!-- report: throughput-bert-base-fp32 -->
    <!-- end of report -->
"""

import re
import shutil
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click

from undertone_bench.errors import BenchError
from undertone_bench.options import RESULTS
from undertone_bench.report import Figure, Report, Summary, Table

PAGE: Final = Path("docs/reference/performance.md")

_BLOCK: Final = re.compile(r"(<!-- report: (\S+) -->\n).*?(<!-- end of report -->)", re.DOTALL)
_WIDTH: Final = 100


@click.command(
    epilog="""\b
Examples:
  undertone-bench publish
  undertone-bench publish --check"""
)
@click.option(
    "--results",
    default=RESULTS,
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the measurements' reports.",
)
@click.option(
    "--page",
    default=PAGE,
    show_default=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Page with a pair of markers for each report.",
)
@click.option("--check", is_flag=True, help="Write nothing. Exit with code 1 if the page differs from its summaries.")
def publish(results: Path, page: Path, check: bool) -> None:
    """Write the summaries and plots of new reports beside the page, and fill in the page.

    Reports without markers in the page are ignored. The summaries of page.md are in the folder
    page/.
    """
    if not check and not results.is_dir():
        raise click.UsageError(f"--results {results} is not a folder: measure first, or name another folder")
    folder = page.with_suffix("")
    before = page.read_text(encoding="utf-8")
    if not check:
        for path in sorted(results.glob("*.json")):
            summary = Report.read(path).summary
            if summary.name in marked_names(before):
                summary.write(folder)
                if summary.plot_title:
                    shutil.copyfile(path.with_suffix(".png"), folder / f"{summary.name}.png")
    after = fill_in(before, read_summaries(folder), lambda summary: f"{folder.name}/{summary.name}.png")
    if check and after != before:
        raise BenchError(f"{page} differs from the summaries in {folder}: run `undertone-bench publish`")
    page.write_text(after, encoding="utf-8")


def fill_in(page: str, summaries: Mapping[str, Summary], plot_path: Callable[[Summary], str]) -> str:
    """The page with new text between all markers. `plot_path` is relative to the page.

    Raises BenchError if markers have no summary, or a summary has no markers.
    """
    names = marked_names(page)
    if missing := sorted(names - set(summaries)):
        raise BenchError(f"no summary of {', '.join(missing)}: measure it, or remove its markers from the page")
    if unmarked := sorted(set(summaries) - names):
        raise BenchError(f"no markers for {', '.join(unmarked)}: add <!-- report: {unmarked[0]} --> and <!-- end of report -->")
    return _BLOCK.sub(lambda found: f"{found[1]}{as_markdown(summaries[found[2]], plot_path)}{found[3]}", page)


def marked_names(page: str) -> set[str]:
    """Names of the reports that have markers in the page."""
    return {found[2] for found in _BLOCK.finditer(page)}


def read_summaries(folder: Path) -> dict[str, Summary]:
    """All summaries in a folder by name."""
    return {summary.name: summary for summary in map(Summary.read, sorted(folder.glob("*.json")))}


def as_markdown(summary: Summary, plot_path: Callable[[Summary], str]) -> str:
    parts = [markdown_table(summary.table)]
    if summary.figures:
        parts.append(markdown_table(Table(("figure", "median (min to max)", "goal"), tuple(map(_figure_row, summary.figures)))))
    parts += summary.notes
    if summary.plot_title:
        parts.append(f"![{summary.plot_title}]({plot_path(summary)})")
    source = f"Measured on {summary.date} with `{summary.command}` on {summary.environment}."
    parts.append("\n".join(textwrap.wrap(source, _WIDTH, break_long_words=False, break_on_hyphens=False)))
    return "".join(f"\n{part}\n" for part in parts) + "\n"


def _figure_row(figure: Figure) -> tuple[str, ...]:
    value = f"{figure.value:{figure.spec}}"
    if figure.goal is None:
        return figure.name, value, ""
    return figure.name, value, f"{figure.goal}: {'met' if figure.goal.is_met(figure.value) else '**missed**'}"


def markdown_table(table: Table) -> str:
    """The table in Markdown."""
    rows = (table.header, ("---",) * len(table.header), *table.rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
