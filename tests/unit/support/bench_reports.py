"""A report of undertone-bench with all kinds of parts."""

from undertone_bench.machine import Environment
from undertone_bench.report import Figure, Goal, MedianRange, Plot, Report, Series, Summary, Table

ENVIRONMENT = Environment("A CPU", 2, 2, None, "AVX2", False, {"python": "3.11"})


def a_report(rate: float = 3.0) -> Report:
    summary = Summary(
        benchmark="throughput",
        subject="tiny",
        command="undertone-bench throughput",
        date="2026-01-02",
        environment=ENVIRONMENT,
        notes=("A note.",),
        table=Table(("variant", "paragraphs/s"), (("paper", "1.0"), ("undertone", f"{rate:.1f}"))),
        figures=(
            Figure("undertone / paper", MedianRange(rate, 2.5, 3.5), ".1f", Goal("at least", 2.0)),
            Figure("p99", MedianRange(rate, 3.0, 3.0), ".1f", Goal("at most", 2.0)),
        ),
        plot_title="Rates",
    )
    plot = Plot("Rates", "", "paragraphs/s", (Series("rate", ("paper", "undertone"), (1.0, rate)),))
    return Report(summary, plot, ({"variant": "paper", "seconds": [1.0, 2.0]}, {"peaks": {}}), {"--budget": 2048})
