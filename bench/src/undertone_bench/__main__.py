"""`undertone-bench`."""

import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from undertone_bench import page, plots
from undertone_bench.errors import BenchError
from undertone_bench.report import Report
from undertone_bench.scenarios import cost as costs
from undertone_bench.scenarios import lanes as lane_pairs
from undertone_bench.scenarios import latency as latencies
from undertone_bench.scenarios import load as loads
from undertone_bench.scenarios import sidecar as sidecars
from undertone_bench.scenarios import throughput as throughputs
from undertone_bench.served import ServedModel
from undertone_bench.taking import Taking

RESULTS: Final = Path("build/bench/results")
PAGE: Final = Path("docs/reference/performance.md")

Command = TypeVar("Command", bound=Callable[..., Any])


def _shared(rounds: int) -> Callable[[Command], Command]:
    """Options of every scenario."""
    options = (
        click.option(
            "--model",
            "name",
            default="demo",
            show_default=True,
            help="demo, bert-base, bert-large, minilm, or a model's folder.",
        ),
        click.option(
            "--precision", default="", help="Of a random model that is exported: what `undertone-model export` takes."
        ),
        click.option(
            "--texts",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Paragraphs, separated by blank lines, whose lengths and words are used. Default: the published lengths.",
        ),
        click.option("--rounds", default=rounds, show_default=True, type=click.IntRange(1), help="Rounds that are measured."),
        click.option("--flag", "flags", multiple=True, help="A flag more for the sidecar; may be repeated."),
        click.option(
            "--results", default=RESULTS, show_default=True, type=click.Path(path_type=Path), help="Folder of the reports."
        ),
    )

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _taking(name: str, precision: str, texts: Path | None, rounds: int, flags: tuple[str, ...]) -> Taking:
    command = shlex.join(["undertone-bench", *sys.argv[1:]])
    return Taking.of(ServedModel.named(name, precision), texts, rounds, command, flags)


def _publish(report: Report, folder: Path) -> None:
    path = report.write(folder)
    plots.draw(report.plot, path.with_suffix(".png"))
    click.echo(plots.text(report.plot))
    for row in (report.table.header, *report.table.rows):
        click.echo(" | ".join(row))
    for figure in report.figures:
        goal = "" if figure.goal is None else f"   goal: {figure.goal.level} {figure.goal.value:g}"
        click.echo(f"{figure.name}: {figure.spread:{figure.form}}{goal}")
    click.echo(f"written: {path}")


class _Group(click.Group):
    """Tells what a person can mend without a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BenchError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure how fast Undertone serves on this machine, beside other ways to serve the same model.

    Each command starts what it needs, measures, prints and plots what it found, and leaves a report in build/bench/results.
    `publish` writes the reports into docs/reference/performance.md. Run it
    from the repository's root, on a machine that does nothing
    else.
    """
    # As an exception, so that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@main.command()
@_shared(rounds=5)
@click.option("--arms", default=",".join(throughputs.ARMS), show_default=True, help="Which, separated by commas.")
@click.option("--paragraphs", "count", default=1024, show_default=True, type=click.IntRange(32), help="Of the arm undertone.")
@click.option("--budget", default=2048, show_default=True, help="Padded tokens of the ideal batches.")
@click.option("--more", is_flag=True, help="Keep the rounds of the report that is there, and add to them.")
@click.option("--baseline", help="Model of the arm paper, if another than --model: one in fp32.")
def throughput(**given: Any) -> None:
    """Compare arms: paragraphs a second, padding, CPU time, share of the machine's matrix product."""
    names, count, budget, baseline, more = (given.pop(name) for name in ("arms", "count", "budget", "baseline", "more"))
    results = given.pop("results")
    chosen = names.split(",")
    if unknown := set(chosen) - set(throughputs.ARMS):
        raise click.UsageError(f"--arms: {', '.join(sorted(unknown))}: choose from {', '.join(throughputs.ARMS)}")
    other = ServedModel.named(baseline) if baseline else None
    taking = _taking(**given)
    earlier = Report.read(taking.path(results, "throughput")) if more else None
    _publish(throughputs.throughput(taking, arms=chosen, count=count, baseline=other, budget=budget, earlier=earlier), results)


@main.command()
@_shared(rounds=3)
@click.option("--load", default=0.7, show_default=True, help="Part of the saturation at which readers come.")
@click.option("--seconds", default=20.0, show_default=True, help="How long they come, in each round.")
def latency(**given: Any) -> None:
    """Compare the latency of a busy service with that of each paragraph alone (open loop, Poisson arrivals)."""
    load, seconds, results = given.pop("load"), given.pop("seconds"), given.pop("results")
    _publish(latencies.latency(_taking(**given), load=load, seconds=seconds), results)


@main.command()
@_shared(rounds=3)
@click.option("--load", default=0.1, show_default=True, help="Readers a second, as a part of what the job reaches alone.")
@click.option("--seconds", default=20.0, show_default=True, help="Length of each part of a round.")
def lanes(**given: Any) -> None:
    """Compare readers alone, a job alone, and both at once."""
    load, seconds, results = given.pop("load"), given.pop("seconds"), given.pop("results")
    _publish(lane_pairs.lanes(_taking(**given), load=load, seconds=seconds), results)


@main.command()
@_shared(rounds=3)
@click.option("--tokens", default=16384, show_default=True, help="Of each workload, about.")
def cost(**given: Any) -> None:
    """Compare paragraphs of different lengths, alone among their like and mixed."""
    tokens, results = given.pop("tokens"), given.pop("results")
    _publish(costs.cost(_taking(**given), tokens=tokens), results)


@main.command()
@_shared(rounds=1)
@click.option("--paragraphs", "count", default=40960, show_default=True, type=click.IntRange(4096), help="How many are sent.")
@click.option("--batch", default=32, show_default=True, help="Paragraphs in a ClassifyBatch.")
@click.option("--in-flight", default=8, show_default=True, help="ClassifyBatch calls at once.")
@click.option("--profile", type=click.Path(path_type=Path), help="Where to put a profile of the sidecar's event loop.")
def sidecar(**given: Any) -> None:
    """Measure the sidecar's CPU time and memory with a model server that costs nothing."""
    count, batch, in_flight, profile = (given.pop(name) for name in ("count", "batch", "in_flight", "profile"))
    results = given.pop("results")
    _publish(sidecars.sidecar(_taking(**given), count=count, batch=batch, in_flight=in_flight, profile=profile), results)


@main.command()
@_shared(rounds=1)
@click.option("--rate", type=float, help="Open loop: Poisson arrivals, so many a second.")
@click.option("--concurrency", type=int, help="Closed loop: so many calls at once.")
@click.option("--seconds", default=20.0, show_default=True, help="Of an open loop.")
@click.option("--paragraphs", "count", default=1024, show_default=True, help="Of a closed loop.")
@click.option("--target", help="A service that runs already. Default: a pod is started.")
@click.option("--lane", default="online", show_default=True, type=click.Choice(["online", "batch"]))
def load(**given: Any) -> None:
    """Drive a service with single Classify calls, open loop or closed loop."""
    keys = ("rate", "concurrency", "seconds", "count", "target", "lane")
    rate, concurrency, seconds, count, target, lane = (given.pop(name) for name in keys)
    if (rate is None) == (concurrency is None):
        raise click.UsageError("give either --rate (open loop) or --concurrency (closed loop)")
    results = given.pop("results")
    arrivals = loads.Open(rate, seconds) if rate is not None else loads.Closed(concurrency, count)
    _publish(loads.load(_taking(**given), arrivals, target=target, lane=lane), results)


@main.command()
@click.option("--results", default=RESULTS, show_default=True, type=click.Path(path_type=Path), help="Folder of new reports.")
@click.option("--page", "document", default=PAGE, show_default=True, type=click.Path(path_type=Path), help="To be filled.")
@click.option("--check", is_flag=True, help="Only compare the page with the reports beside it; 1 if it is out of date.")
def publish(results: Path, document: Path, check: bool) -> None:
    """Write the reports into docs/reference/performance.md, and keep them beside it.

    A report that has no place in the page, between the markers that bear its name, is left out.
    """
    kept = document.with_suffix("")
    before = document.read_text(encoding="utf-8")
    if not check:
        for name, report in page.read_reports(results).items():
            if name in page.places(before):
                plots.draw(report.plot, report.write(kept).with_suffix(".png"))
    after = page.filled(before, page.read_reports(kept), lambda report: f"{kept.name}/{report.name}.png")
    if check and after != before:
        raise click.ClickException(f"{document} is not what its reports say; run undertone-bench publish")
    document.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
