from pathlib import Path

import pytest
from click.testing import CliRunner
from undertone_bench.cli import main
from undertone_bench.commands.publish import fill_in
from undertone_bench.errors import BenchError
from undertone_bench.options import finish
from undertone_bench.report import Summary

from tests.unit.support.bench_reports import a_report

MARKERS = "Before.\n\n<!-- report: throughput-tiny -->\nold\n<!-- end of report -->\n\nAfter.\n"


def plot_path(summary: Summary) -> str:
    return f"plots/{summary.name}.png"


def test_only_text_between_the_markers_changes() -> None:
    summaries = {"throughput-tiny": a_report().summary}
    page = fill_in(MARKERS, summaries, plot_path)
    assert page.startswith("Before.\n\n<!-- report: throughput-tiny -->\n")
    assert page.endswith("<!-- end of report -->\n\nAfter.\n")
    assert "old" not in page
    assert "| undertone | 3.0 |" in page
    assert "| undertone / paper | 3.0 (2.5 to 3.5) | at least 2: met |" in page
    assert "| p99 | 3.0 | at most 2: **missed** |" in page
    assert "A note." in page
    assert "![Rates](plots/throughput-tiny.png)" in page
    assert "2 CPUs (2 cores, no quota); python 3.11." in " ".join(page.split())
    assert fill_in(page, summaries, plot_path) == page


def test_every_summary_needs_markers_and_all_markers_need_a_summary() -> None:
    with pytest.raises(BenchError, match="<!-- report: throughput-tiny -->"):
        fill_in("No markers.", {"throughput-tiny": a_report().summary}, plot_path)
    with pytest.raises(BenchError, match="no summary of throughput-tiny"):
        fill_in(MARKERS, {}, plot_path)


def test_publish_writes_summary_plot_and_page_and_check_finds_edits(tmp_path: Path) -> None:
    page, results = tmp_path / "performance.md", tmp_path / "results"
    page.write_text(MARKERS)
    finish(a_report(), results)
    arguments = ["publish", "--results", str(results), "--page", str(page)]
    published = CliRunner().invoke(main, arguments)
    assert published.exit_code == 0, published.output
    plot = tmp_path / "performance/throughput-tiny.png"
    assert plot.read_bytes() == (results / "throughput-tiny.png").read_bytes()
    assert Summary.read(plot.with_suffix(".json")) == a_report().summary
    assert CliRunner().invoke(main, [*arguments, "--check"]).exit_code == 0
    page.write_text(page.read_text().replace("| undertone | 3.0 |", "| undertone | 9.0 |"))
    checked = CliRunner().invoke(main, [*arguments, "--check"])
    assert checked.exit_code == 1
    assert "undertone-bench publish" in checked.output


def test_a_folder_without_reports_is_wrong_usage(tmp_path: Path) -> None:
    page, results = tmp_path / "performance.md", tmp_path / "results"
    page.write_text(MARKERS)
    refused = CliRunner().invoke(main, ["publish", "--results", str(results), "--page", str(page)])
    assert refused.exit_code == 2
    assert f"--results {results} is not a folder: measure first, or name another folder" in " ".join(refused.output.split())


@pytest.mark.parametrize("name", ["performance.md", "fleet-model.md", "tuning-matrix.md"])
def test_the_committed_pages_match_their_summaries(name: str) -> None:
    page = Path(__file__).parents[4] / "docs/reference" / name
    checked = CliRunner().invoke(main, ["publish", "--check", "--page", str(page)])
    assert checked.exit_code == 0, checked.output
