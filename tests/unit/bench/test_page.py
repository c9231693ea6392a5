from pathlib import Path

import pytest
from click.testing import CliRunner
from undertone_bench.__main__ import main
from undertone_bench.errors import BenchError
from undertone_bench.machine import Environment
from undertone_bench.page import filled
from undertone_bench.report import Figure, Goal, Plot, Report, Series, Table
from undertone_bench.spread import Spread

ENVIRONMENT = Environment("A CPU", 2, 2, None, "AVX2", False, ("avx2",), {"python": "3.11"})
PLACE = "Before.\n\n<!-- report: throughput-tiny -->\nold\n<!-- end of report -->\n\nAfter.\n"


def report(rate: float = 3.0) -> Report:
    return Report(
        scenario="throughput",
        model="tiny",
        command="undertone-bench throughput",
        taken="2026-01-02",
        environment=ENVIRONMENT,
        notes=("A remark.",),
        table=Table(("arm", "paragraphs/s"), (("paper", "1.0"), ("undertone", f"{rate:.1f}"))),
        figures=(
            Figure("undertone / paper", Spread(rate, 2.5, 3.5), ".1f", Goal("at least", 2.0)),
            Figure("p99", Spread(rate, 3.0, 3.0), ".1f", Goal("at most", 2.0)),
        ),
        plot=Plot("Rates", "", "paragraphs/s", (Series("rate", ("paper", "undertone"), (1.0, rate)),)),
        raw=({"seconds": [1.0, 2.0]},),
    )


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert Report.read(report().write(tmp_path)) == report()


def test_a_page_is_filled_between_its_markers_only() -> None:
    page = filled(PLACE, {"throughput-tiny": report()}, lambda one: f"pictures/{one.name}.png")
    assert page.startswith("Before.\n\n<!-- report: throughput-tiny -->\n")
    assert page.endswith("<!-- end of report -->\n\nAfter.\n")
    assert "old" not in page
    assert "| undertone | 3.0 |" in page
    assert "| undertone / paper | 3.0 (2.5 to 3.5) | at least 2: reached |" in page
    assert "| p99 | 3.0 | at most 2: **missed** |" in page
    assert "![Rates](pictures/throughput-tiny.png)" in page
    assert "2 CPUs (2 cores, no quota); python 3.11" in page
    assert filled(page, {"throughput-tiny": report()}, lambda one: f"pictures/{one.name}.png") == page


def test_reports_and_places_belong_together() -> None:
    with pytest.raises(BenchError, match="<!-- report: throughput-tiny -->"):
        filled("No place.", {"throughput-tiny": report()}, lambda _: "")
    with pytest.raises(BenchError, match="no report throughput-tiny"):
        filled(PLACE, {}, lambda _: "")


def test_the_command_writes_the_page_and_finds_one_that_was_edited(tmp_path: Path) -> None:
    document, results = tmp_path / "performance.md", tmp_path / "results"
    document.write_text(PLACE)
    report().write(results)
    arguments = ["publish", "--results", str(results), "--page", str(document)]
    published = CliRunner().invoke(main, arguments)
    assert published.exit_code == 0, published.output
    assert (tmp_path / "performance/throughput-tiny.png").read_bytes().startswith(b"\x89PNG")
    assert CliRunner().invoke(main, [*arguments, "--check"]).exit_code == 0
    document.write_text(document.read_text().replace("| undertone | 3.0 |", "| undertone | 9.0 |"))
    checked = CliRunner().invoke(main, [*arguments, "--check"])
    assert checked.exit_code == 1
    assert "undertone-bench publish" in checked.output


def test_the_committed_page_says_what_its_reports_say() -> None:
    page = Path(__file__).parents[3] / "docs/reference/performance.md"
    checked = CliRunner().invoke(main, ["publish", "--check", "--page", str(page)])
    assert checked.exit_code == 0, checked.output
