"""A plan as text for the terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text
from undertone_client import Settings

from undertone_planner.plan.constraint import PlanRefusedError
from undertone_planner.plan.named_calibration import NamedCalibration
from undertone_planner.plan.node_types import NodeTypes
from undertone_planner.plan.plan import Plan
from undertone_planner.plan.quantities import cpu_text, duration_text
from undertone_planner.plan.what_if import Alternative


def show_plan(plan: Plan, types: NodeTypes, calibration: NamedCalibration, lengths: str, console: Console) -> None:
    """Print the figures of a plan."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(plan, types, calibration, lengths):
        table.add_row(name, Text(value))
    console.print(table)


def show_alternatives(title: str, alternatives: Sequence[Alternative], currency: str, console: Console) -> None:
    """Print alternatives side by side."""
    symbol = "$" if currency == "USD" else f"{currency} "
    has_batch = any(isinstance(each.outcome, Plan) and each.outcome.load.batch for each in alternatives)
    has_readers = any(isinstance(each.outcome, Plan) and each.outcome.load.readers for each in alternatives)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")
    table.add_column("", no_wrap=True)
    names = [*(["hours"] if has_batch else []), *(["p99 s"] if has_readers else [])]
    for name in ("pods", "nodes", *names, "CPU-hours", "cost", "per million"):
        table.add_column(name, justify="right", no_wrap=True)
    refusals = []
    for each in alternatives:
        if isinstance(each.outcome, PlanRefusedError):
            refusals.append(f"{each.name}: no plan: {each.outcome}")
            table.add_row(each.name, *(["–"] * (5 + len(names))))
        else:
            table.add_row(each.name, *_cells(each.outcome, symbol, has_batch=has_batch, has_readers=has_readers))
    console.print(table)
    for refusal in refusals:
        console.print(Text(refusal))


def _cells(plan: Plan, symbol: str, *, has_batch: bool, has_readers: bool) -> Iterable[str]:
    yield f"{plan.pods:,}"
    yield f"{plan.nodes:,}"
    if has_batch:
        yield _hours(plan.seconds / 3600)
    if has_readers:
        yield "–" if plan.p99_seconds is None else f"{plan.p99_seconds:.2f}"
    yield _whole(plan.cpu_hours)
    yield f"{symbol}{plan.cost:,.2f}" if plan.cost < 100 else f"{symbol}{plan.cost:,.0f}"
    yield f"{symbol}{plan.cost_per_million:,.2f}"


def _rows(plan: Plan, types: NodeTypes, calibration: NamedCalibration, lengths: str) -> Iterator[tuple[str, str]]:
    setting, batch, readers, values = plan.setting, plan.load.batch, plan.load.readers, plan.setting.values
    node, speed = setting.node, setting.speed
    if batch is not None:
        yield "batch", f"{batch.paragraphs:,} paragraphs within {duration_text(batch.within_seconds)}; {lengths}"
    if readers is not None:
        yield "readers", f"{readers.per_second:g} a second, p99 of at most {readers.p99_seconds:g} s; {lengths}"
    yield "calibration", f"{calibration.name}: {calibration.origin}"
    market = "spot" if setting.spot else "on demand"
    yield (
        "node type",
        f"{node.name}, {market}, {types.currency} {node.price(spot=setting.spot):g} an hour ({types.region}, {types.date})",
    )
    yield (
        "pod",
        f"requests {cpu_text(values.pod_cpus)} CPUs and {values.pod_memory / 2**30:.1f} GiB, has {speed.cores:.2g} physical "
        f"cores and {speed.model_calls} calls at once; {_rate(speed.batch_rate(plan.load.lengths))} paragraphs a second, "
        f"{setting.precision}",
    )
    yield "", ""
    yield "pods", _pods(plan)
    yield "nodes", f"{plan.nodes:,}, with at most {setting.pods_per_node} pods each"
    if batch is not None:
        yield "hours", f"{_hours(plan.seconds / 3600)} ({plan.steady_rate:,.0f} paragraphs a second in the steady state)"
        timeout = plan.client_timeout
        option = (
            ""
            if timeout <= Settings().timeout_seconds
            else f" and --timeout {timeout:g}, because calls of long paragraphs take long"
        )
        yield "clients", f"{plan.clients}, each with up to {batch.max_in_flight} calls in flight{option}"
    if plan.p99_seconds is not None:
        closed = plan.closed_form_p99_seconds
        source = "closed form" if closed is None else f"fleet model; the closed form gives {closed:.2f} s"
        yield "p99", f"{plan.p99_seconds:.2f} s ({source})"
    yield "cost", _cost(plan, types)
    period = " in an hour" if batch is None else ""
    yield "CPU-hours", f"{_whole(plan.cpu_hours)} (hardware threads), {_whole(plan.core_hours)} core-hours{period}"
    if batch is not None:
        yield "course", _course(plan)
    for index, limitation in enumerate(plan.limitations):
        yield "limited by" if index == 0 else "", str(limitation)


def _pods(plan: Plan) -> str:
    values = plan.setting.values
    if plan.load.batch is None and values.autoscaler != "none":
        return f"{plan.pods:,} (autoscaling.minReplicas; autoscaling.maxReplicas stays at {values.max_replicas:,})"
    if values.autoscaler == "none":
        return f"{plan.pods:,} (autoscaling.replicas)"
    allowed = f"the values allow {values.max_replicas:,}"
    pods = f"{plan.pods:,}" if plan.start_pods == plan.pods else f"{plan.start_pods:,} to {plan.pods:,}"
    return f"{pods} (autoscaling.minReplicas and maxReplicas; {allowed})"


def _cost(plan: Plan, types: NodeTypes) -> str:
    parts = []
    if plan.load.batch is not None:
        parts.append(
            f"{types.currency} {plan.cost:,.2f} in all, {plan.cost_per_million:,.2f} a million paragraphs; the nodes from "
            "their start until the fleet is small again"
        )
    if plan.load.readers is not None:
        hourly = plan.nodes * plan.setting.node.price(spot=plan.setting.spot)
        if plan.load.batch is None:
            parts.append(
                f"{types.currency} {hourly:,.2f} an hour, {plan.monthly_cost:,.0f} a month of 730 hours, "
                f"{plan.cost_per_million:,.2f} a million paragraphs at the peak"
            )
    return "; ".join(parts)


def _course(plan: Plan) -> str:
    if not plan.simulated_seconds:
        return "closed form, without the fleet model"
    closed = "" if plan.closed_form_seconds is None else f"; the closed form gives {_hours(plan.closed_form_seconds / 3600)} h"
    if plan.simulated_seconds >= plan.seconds:
        return f"the whole job in the fleet model{closed}"
    simulated = duration_text(plan.simulated_seconds)
    return f"{simulated} in the fleet model, until the fleet was steady; the rest is extrapolated{closed}"


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if hours >= 0.1 else f"{hours:.2g}"


def _whole(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _rate(rate: float) -> str:
    return f"{rate:.3g}" if rate < 100 else f"{rate:,.0f}"
