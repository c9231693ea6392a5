"""The command undertone-plan."""

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import click
from rich.console import Console
from undertone_cli.console import output_console
from undertone_client.errors import UndertoneError
from undertone_client.jobs import CommandError, ExitCode, Terminated, command_error
from undertone_telemetry.options import name_variables, refuse_unused
from undertone_telemetry.standard_output import checked_standard_output

from undertone_planner.errors import PlannerError
from undertone_planner.plan.constraint import PlanRefusedError
from undertone_planner.plan.document import alternatives_document, plan_document
from undertone_planner.plan.node_types import PACKAGED_TABLE
from undertone_planner.plan.options import demand_options, site_options, text_options
from undertone_planner.plan.plan import Plan
from undertone_planner.plan.planner import make_plan
from undertone_planner.plan.plots import as_text, write_png
from undertone_planner.plan.quantities import duration_text
from undertone_planner.plan.request import Demand, Site, Texts
from undertone_planner.plan.simulated_plan import simulated_plan
from undertone_planner.plan.view import show_alternatives, show_plan
from undertone_planner.plan.what_if import alternative, what_ifs
from undertone_planner.plan.write_values import check_target, check_writable, write_values


def _show_node_types(context: click.Context, _option: click.Parameter, value: object) -> None:
    if value and not context.resilient_parsing:
        click.echo(PACKAGED_TABLE.read_text(encoding="utf-8"), nl=False)
        context.exit()


class _SectionedCommand(click.Command):
    """Lists the options by what they describe."""

    SECTIONS: ClassVar = {
        "Lengths of the paragraphs": "lengths",
        "Load": "paragraphs",
        "Site": "calibrations",
        "Plan": "simulate",
    }
    """The name of the first option of each section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        titles = {first: title for title, first in self.SECTIONS.items()}
        sections: dict[str, list[tuple[str, str]]] = {}
        title = next(iter(self.SECTIONS))
        for parameter in self.get_params(ctx):
            title = titles.get(str(parameter.name), title)
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)) is not None:
                sections.setdefault(title, []).append(record)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


@click.command(
    cls=_SectionedCommand,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  undertone-plan --paragraphs 95_000_000 --within 96h
  undertone-plan novels/*.txt --paragraphs 2_000_000 --within 8h --calibration pod.json
  undertone-plan --readers-per-second 40 --p99 0.7 --values values.yaml
  undertone-plan --paragraphs 95_000_000 --within 96h --pod-cores 2 --calibration bert-base \\
      --node-type c7i.4xlarge --node-type c7a.4xlarge --spot
  undertone-plan --paragraphs 5_000_000 --within 1d --values values.yaml --write planned.yaml

\b
The plan has the smallest fleet that meets the deadline and the p99. Batch job and readers run in the
fleet model: the limit and the retries of the real client on a virtual clock, against simulated pods,
nodes and an autoscaler, until the fleet is in a steady state. The rest is extrapolated. The what-ifs
and the comparisons are in closed form. docs/how-to/plan.md describes the model and its limits.

\b
Shell completion (bash, zsh, fish):
  eval "$(_UNDERTONE_PLAN_COMPLETE=bash_source undertone-plan)"

\b
Exit codes:
  0    planned
  1    no plan works: the message names the binding constraint and a remedy
  2    the options or a file are invalid
  130  interrupted (SIGINT)
  143  terminated (SIGTERM)""",
)
@text_options
@demand_options
@site_options
@click.option(
    "--simulate/--no-simulate",
    default=True,
    show_default=True,
    help="Whether to run the plan in the fleet model, which takes seconds to minutes. Without, it is in closed form.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan, its course and the alternatives as JSON.")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the course as a plot.")
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write --values with the autoscaling, the resources and the batch settings of the plan. Other values and comments "
    "stay. FILE can be that of --values.",
)
@click.option(
    "--show-node-types",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_node_types,
    help="Print the packaged table of node types, to edit it, and exit.",
)
@click.version_option(package_name="undertone-planner", prog_name="undertone-plan")
def plan(
    texts: Texts,
    demand: Demand,
    site: Site,
    *,
    simulate: bool,
    as_json: bool,
    png: Path | None,
    write: Path | None,
) -> None:
    """Plan a fleet: pods, nodes, hours and cost for a batch job, for readers, or for both.

    An INPUT is a file, a folder or a pattern, as for undertone score. Only the lengths of its
    paragraphs are used.
    """
    _check_options(texts, demand)
    if write is not None:
        check_target(write, site.values)
    if png is not None:
        check_writable("--png", png)
    lengths, description = texts.measure()
    load = demand.load(lengths, counted=bool(texts.inputs or texts.lengths))
    if png is not None and load.batch is None:
        raise PlannerError("--png plots the course of a batch job: add --paragraphs and --within, or omit --png")
    types = site.types()
    choices = site.settings(types)
    if all(calibration.measured_on is not None for _, calibration in choices):
        name = site.calibrations[0]
        refuse_unused(f"has no effect with --calibration {name}, whose node type is known: omit one of them", "calibrated_on")
    setting, calibration = choices[0]
    planned = make_plan(setting, load)
    if simulate:
        planned = _simulated(planned)
    alternatives = what_ifs(planned, types)
    compared = [alternative(f"{one.calibration_name} on {one.node.name}, {one.precision}", one, load) for one, _ in choices]
    if as_json:
        document = {
            "plan": plan_document(planned, types),
            "what_if": alternatives_document(alternatives),
            "comparison": alternatives_document(compared if len(compared) > 1 else []),
        }
        click.echo(json.dumps(document, indent=2))
    else:
        console = output_console()
        show_plan(planned, types, calibration, description, console)
        if planned.course:
            console.print()
            click.echo(as_text(planned))
        console.print()
        show_alternatives("What if (closed form)", alternatives, types.currency, console)
        if len(compared) > 1:
            console.print()
            show_alternatives("Calibrations and node types (closed form)", compared, types.currency, console)
    if png is not None:
        write_png(planned, png)
        click.echo(f"wrote {png}", err=True)
    if write is not None:
        write_values(planned, write, site.values, datetime.now(UTC).date())
        click.echo(f"wrote {write}: helm upgrade --install undertone CHART --values {write}", err=True)


def _check_options(texts: Texts, demand: Demand) -> None:
    """Raises click.UsageError for an option without effect."""
    if not texts.inputs:
        reason = "is for the paragraphs of an INPUT: add an INPUT, or omit the option"
        refuse_unused(reason, "input_format", "text_column", "min_characters", "tokenizer")
    if demand.within is None:
        reason = "is for a batch job: add --within, or omit the option"
        refuse_unused(reason, "headroom", "clients", "max_in_flight", "batch_items")


def _simulated(planned: Plan) -> Plan:
    console = Console(stderr=True)
    with console.status("simulating") as status:

        def progress(number: int, seconds: float, pods: int) -> None:
            again = f", simulation {number}" if number > 1 else ""
            status.update(f"simulating: {duration_text(seconds)} of the fleet, {pods} pods{again}")

        return simulated_plan(planned, progress=progress)


name_variables(plan, "UNDERTONE_PLAN_")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its exit code."""
    with _explained_errors(), checked_standard_output():
        plan.main(args=None if arguments is None else list(arguments), prog_name="undertone-plan", standalone_mode=False)


@contextmanager
def _explained_errors() -> Iterator[None]:
    """Show expected errors in one line, and exit with their code."""

    def terminate(*_: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except click.exceptions.Exit as done:
        raise SystemExit(done.exit_code) from None
    except (
        click.ClickException,
        PlannerError,
        PlanRefusedError,
        UndertoneError,
        KeyboardInterrupt,
        click.Abort,
        Terminated,
    ) as error:
        shown = _command_error(error)
        shown.show()
        raise SystemExit(shown.exit_code) from None


def _command_error(error: BaseException) -> click.ClickException:
    match error:
        case PlanRefusedError():
            return CommandError(f"no plan: {error}", ExitCode.FAILED)
        case PlannerError():
            return CommandError(str(error), ExitCode.USAGE)
        case click.Abort():
            return CommandError("interrupted", ExitCode.INTERRUPTED)
    return command_error(error, "the service")
