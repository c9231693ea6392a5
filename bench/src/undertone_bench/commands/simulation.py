"""The simulated fleet as a server, and the paper's figures on it."""

import asyncio
import math
from typing import Any, Final

import click
from undertone_planner.fleet.balancer import BalancerSettings
from undertone_planner.fleet.faults import FaultRates
from undertone_planner.fleet.fleet import FleetSettings
from undertone_planner.fleet.pod import PodSettings, ServiceTime

from undertone_bench.cli import SETTINGS
from undertone_bench.options import FiniteRange, count_option, progress, reporting, seconds_option
from undertone_bench.report import Report, Table

QUICK_PODS: Final = 5
QUICK_TIME: Final = 6


@click.group(context_settings=SETTINGS)
def simulation() -> None:
    """Run a simulated fleet of pods, without a model."""


def _fault_options(command: Any) -> Any:
    for fault in reversed(FaultRates.__slots__):
        name = f"--{fault.replace('_', '-')}"
        command = click.option(name, type=FiniteRange(0, 1), default=0.0, help=FaultRates.HELP[fault])(command)
    return command


@simulation.command(
    epilog="""\b
Examples:
  undertone-bench simulation serve --port 50051
  undertone-bench simulation serve --pods 8 --call-seconds 0.001 --unavailable 0.05"""
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Loopback port. Default: a free port.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of faults and load balancing.")
@click.option("--pods", type=click.IntRange(1), default=4, show_default=True, help="Number of pods.")
@seconds_option("--call-seconds", 0.002, "Service time of a call.", FiniteRange(0))
@seconds_option("--token-seconds", 0.0, "Additional service time per token.", FiniteRange(0))
@count_option("--queue", default=64, help_text="Length of a pod's queue in calls.")
@count_option("--choices", default=2, help_text="Pods that the load balancer samples per call.")
@_fault_options
def serve(
    port: int, seed: int, pods: int, call_seconds: float, token_seconds: float, queue: int, choices: int, **rates: float
) -> None:
    """Serve a simulated fleet on a loopback port. Prints the port. Stops upon any signal.

    The fault options are shares of the calls, from 0 to 1.
    """
    from undertone_bench import simulated_fleet

    if (total := math.fsum(rates.values())) > 1:
        raise click.UsageError(f"the fault options add up to {total:g}: use shares of the calls that add up to at most 1")
    pod = PodSettings(service_time=ServiceTime(call_seconds, token_seconds), queue=queue)
    settings = FleetSettings(pods=pods, pod=pod, network_seconds=0.0, balancer=BalancerSettings(choices=choices))
    asyncio.run(simulated_fleet.serve(settings, FaultRates(**rates), port=port, seed=seed))


@simulation.command(
    epilog="""\b
Examples:
  undertone-bench simulation paper
  undertone-bench simulation paper --quick"""
)
@click.option(
    "--quick", is_flag=True, help="A fifth of the pods, and a sixth of the calls: seconds instead of minutes, and less exact."
)
@reporting
def paper(*, quick: bool) -> Report:
    """Reproduce the paper's Table 2, Figure 2 and 95 million paragraphs on a model of its cluster.

    Undertone runs on the same cluster, with pods of the same speed. The page
    docs/reference/fleet-model.md describes the parameters. Time is virtual: the result is the same
    in every run.
    """
    from undertone_planner.scenarios.paper import PAPER
    from undertone_planner.scenarios.paper_comparison import compare

    scale = QUICK_PODS * QUICK_TIME if quick else 1
    settings = PAPER.scaled_down(pods=QUICK_PODS, time=QUICK_TIME) if quick else PAPER
    rows = []
    for row in compare(settings, scale=scale):
        numbers = map(_number, (row.paper, row.model, row.undertone))
        difference = "-" if row.difference is None else f"{row.difference:+.1%}"
        progress(f"{row.name}: done")
        paper_value, model, ours = numbers
        rows.append((row.name, row.unit, paper_value, model, difference, ours, row.note))
    header = ("figure", "unit", "paper", "model", "difference", "Undertone", "the model's fleet at the end")
    return Report.new("paper", "simulated-fleet", table=Table(header, tuple(rows)))


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


@simulation.command(
    epilog="""\b
Examples:
  undertone-bench simulation ready
  undertone-bench simulation ready --calibration pod.json"""
)
@click.option(
    "--calibration",
    default="bert-base",
    show_default=True,
    help="Speed of a pod: a file of `undertone-bench pod`, or the name of a packaged example of `undertone-plan`.",
)
@reporting
def ready(calibration: str) -> Report:
    """Show how a fleet scales for a job and from zero, and loses spot nodes.

    \b
    by CPU utilization          2 pods, to which the autoscaler adds up to 38
    with --finish-by            the pods are requested before the first call of the job
    from zero                   the same without pods at the start
    spot                        16 pods on spot nodes, half of which are reclaimed every hour;
                                readers call 2 other pods

    Time is virtual: the result is the same in every run.
    """
    from undertone_planner.errors import CalibrationError
    from undertone_planner.plan.named_calibration import NamedCalibration
    from undertone_planner.scenarios.readiness import JobRun
    from undertone_planner.scenarios.readiness_example import rows

    try:
        pod = NamedCalibration.find(calibration).calibration
    except CalibrationError as error:
        raise click.UsageError(f"--calibration: {error}") from None
    table = []
    for row in rows(pod):
        progress(f"{row.name}: done")
        result = row.run
        if isinstance(result, JobRun):
            empty = "-" if result.empty_seconds is None else f"{result.empty_seconds:.0f} s"
            times = (f"{result.first_answer_seconds:.0f} s", f"{result.full_seconds:.0f} s", f"{result.seconds:.0f} s", empty)
            table.append((row.name, *times, f"{result.failed}", "-"))
        else:
            readers = f"{result.reader_failures} failed, p99 {1000 * result.reader_p99_seconds:.0f} ms"
            table.append((f"{row.name} ({result.reclaimed} nodes)", "-", "-", "-", "-", f"{result.failed}", readers))
    header = ("scenario", "first answer", "all pods ready", "job ends", "no pods after it", "lost paragraphs", "readers")
    return Report.new("ready", "simulated-fleet", table=Table(header, tuple(table)))
