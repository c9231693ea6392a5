"""The simulated fleet as a server, and the paper's Table 2 on it."""

import asyncio
from typing import Any

import click
from undertone_planner.fleet.balancer import BalancerSettings
from undertone_planner.fleet.faults import FaultRates
from undertone_planner.fleet.fleet import FleetSettings
from undertone_planner.fleet.pod import PodSettings, ServiceTime

from undertone_bench.cli import SETTINGS
from undertone_bench.options import progress, reporting
from undertone_bench.report import Report, Table

SECONDS = 1200.0


@click.group(context_settings=SETTINGS)
def simulation() -> None:
    """Run a simulated fleet of pods, without a model."""


def _fault_options(command: Any) -> Any:
    for fault in reversed(FaultRates.__slots__):
        name = f"--{fault.replace('_', '-')}"
        command = click.option(name, type=click.FloatRange(0, 1), default=0.0, help=FaultRates.HELP[fault])(command)
    return command


@simulation.command(
    epilog="""\b
Examples:
  undertone-bench simulation serve --port 50051
  undertone-bench simulation serve --pods 8 --call-seconds 0.001 --unavailable 0.05"""
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Loopback port. Default: a free port.")
@click.option("--seed", type=int, default=0, help="Seed of faults and load balancing.")
@click.option("--pods", type=click.IntRange(1), default=4, show_default=True, help="Number of pods.")
@click.option("--call-seconds", default=0.002, show_default=True, help="Service time of a call.")
@click.option("--token-seconds", default=0.0, show_default=True, help="Additional service time per token.")
@click.option("--queue", default=64, show_default=True, help="Length of a pod's queue in calls.")
@click.option("--choices", default=2, show_default=True, help="Pods that the load balancer samples per call.")
@_fault_options
def serve(
    port: int, seed: int, pods: int, call_seconds: float, token_seconds: float, queue: int, choices: int, **rates: float
) -> None:
    """Serve a simulated fleet on a loopback port. Prints the port. Stops upon any signal.

    The fault options are shares of the calls, from 0 to 1.
    """
    from undertone_bench import simulated_fleet

    pod = PodSettings(service_time=ServiceTime(call_seconds, token_seconds), queue=queue)
    settings = FleetSettings(pods=pods, pod=pod, network_seconds=0.0, balancer=BalancerSettings(choices=choices))
    asyncio.run(simulated_fleet.serve(settings, FaultRates(**rates), port=port, seed=seed))


@simulation.command(
    epilog="""\b
Examples:
  undertone-bench simulation semaphores
  undertone-bench simulation semaphores --seconds 600"""
)
@click.option("--seconds", default=SECONDS, show_default=True, help="Virtual duration of each client.")
@reporting
def semaphores(seconds: float) -> Report:
    """Reproduce the paper's Table 2: throughput of an autoscaled fleet by the client's semaphore.

    \b
    Clients:
      plain N     asyncio, a semaphore of N, four attempts two seconds apart, no circuit breaker
      fixed N     Undertone's client with a fixed limit of N
      adaptive    Undertone's client with its default settings

    Time is virtual. The result is the same in every run.
    """
    from undertone_planner.scenarios.semaphores import results

    rows = []
    for result in results(seconds):
        progress(f"{result.name}: {result.rate:.2f} paragraphs/s")
        counts = (f"{result.failed}", f"{result.restarts}", f"{result.pods}")
        rows.append((result.name, f"{result.rate:.2f}", f"{result.final_rate:.2f}", *counts))
    header = ("client", "paragraphs/s", "in the last third", "failed", "restarts", "pods at the end")
    return Report.new("semaphores", "simulated-fleet", table=Table(header, tuple(rows)))
