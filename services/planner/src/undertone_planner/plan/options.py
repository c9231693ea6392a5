"""The options of undertone-plan: lengths of paragraphs, load, and site of the fleet."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import click
from undertone_cli.readers import Format, ReadOptions
from undertone_client.jobs.paragraph_length import MIN_CHARACTERS
from undertone_telemetry.options import IntegerRange, NumberRange, option_group

from undertone_planner.plan.load import CALL_PARAGRAPHS, MAX_IN_FLIGHT
from undertone_planner.plan.named_calibration import packaged_names
from undertone_planner.plan.node_types import NodeTypes
from undertone_planner.plan.option_types import Duration
from undertone_planner.plan.request import Demand, Site, Texts

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


def _texts(**values: Any) -> Texts:
    read = ReadOptions(
        format=Format(values["input_format"]) if values["input_format"] else None,
        text_column=values["text_column"],
        min_characters=values["min_characters"],
    )
    return Texts(inputs=values["inputs"], read=read, lengths=values["lengths"], tokenizer=values["tokenizer"])


def _complete(names: Callable[[], Iterable[str]]) -> Callable[..., list[str]]:
    """Completion of an option by names."""

    def complete(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete


text_options = option_group(
    "texts",
    _texts,
    click.argument("inputs", nargs=-1, metavar="[INPUT...]"),
    click.option(
        "--lengths",
        type=_FILE,
        metavar="FILE",
        help="Histogram of the tokens of paragraphs instead of an INPUT: CSV with the header tokens,count, or JSON such as "
        '{"120": 5000}.  [default: the lengths of the paper]',
    ),
    click.option(
        "--format",
        "input_format",
        type=click.Choice([each.value for each in Format]),
        help="Format of the INPUTs.  [default: from the suffix of each file]",
    ),
    click.option("--text-column", default="text", show_default=True, help="Column of the INPUTs with the text."),
    click.option(
        "--min-characters",
        type=IntegerRange(min=0),
        default=MIN_CHARACTERS,
        show_default=True,
        help="Skip paragraphs with fewer characters, as undertone score does.",
    ),
    click.option(
        "--tokenizer",
        type=_FILE,
        metavar="FILE",
        help="tokenizer.json of the model, to count tokens exactly.  [default: 4.1 characters a token]",
    ),
)
"""Adds the argument `texts` to a command."""

demand_options = option_group(
    "demand",
    Demand,
    click.option(
        "--paragraphs",
        type=IntegerRange(min=1),
        metavar="N",
        help="Paragraphs of the batch job.  [default: those of the INPUTs]",
    ),
    click.option("--within", type=Duration(), help="Time for the batch job: 96h, 4d, 90m or 1h30m."),
    click.option(
        "--headroom",
        type=NumberRange(min=0),
        default=10.0,
        show_default=True,
        metavar="PERCENT",
        help="Additional time that the plan leaves before the end of --within.",
    ),
    click.option(
        "--clients",
        type=IntegerRange(min=1),
        metavar="N",
        help="Clients of the batch job: processes of undertone score, or tasks of Spark.  [default: as many as the pods need]",
    ),
    click.option(
        "--max-in-flight",
        type=IntegerRange(min=1),
        default=MAX_IN_FLIGHT,
        show_default=True,
        metavar="N",
        help="Maximum number of calls in flight of a client.",
    ),
    click.option(
        "--batch-items",
        type=IntegerRange(min=1),
        default=CALL_PARAGRAPHS,
        show_default=True,
        metavar="N",
        help="Maximum number of paragraphs in a call of the batch job, as in undertone score.",
    ),
    click.option(
        "--readers-per-second",
        type=NumberRange(min=0, min_open=True),
        metavar="R",
        help="Calls of readers per second, at the peak. A call has one paragraph.",
    ),
    click.option(
        "--p99",
        type=NumberRange(min=0, min_open=True),
        metavar="SECONDS",
        help="Maximum p99 latency of the calls of readers.",
    ),
    click.option(
        "--max-tokens",
        type=IntegerRange(min=16),
        default=512,
        show_default=True,
        metavar="TOKENS",
        help="Maximum sequence length of the model. Longer paragraphs are computed in chunks.",
    ),
)
"""Adds the argument `demand` to a command."""

site_options = option_group(
    "site",
    Site,
    click.option(
        "--calibration",
        "calibrations",
        multiple=True,
        default=("emotions",),
        shell_complete=_complete(packaged_names),
        show_default=True,
        metavar="NAME|FILE",
        help=f"Measured speed of a pod: a file of undertone-bench pod, or a packaged example ({', '.join(packaged_names())}). "
        "Can be repeated, to compare.",
    ),
    click.option(
        "--calibrated-on",
        metavar="NODE-TYPE",
        help="Node type on which the file of --calibration was measured. Speeds on other node types are relative to it.  "
        "[default: the reference of the table]",
    ),
    click.option(
        "--node-type",
        "node_types",
        multiple=True,
        default=("c7a.4xlarge",),
        shell_complete=_complete(lambda: NodeTypes.read().types),
        show_default=True,
        metavar="NAME",
        help="Node type of the table. Can be repeated, to compare.",
    ),
    click.option(
        "--node-types",
        "node_types_file",
        type=_FILE,
        metavar="FILE",
        help="Table of node types and prices (TOML).  [default: the packaged table; see --show-node-types]",
    ),
    click.option(
        "--values", type=_FILE, metavar="FILE", help="Values of the chart as they are.  [default: the chart's defaults]"
    ),
    click.option(
        "--pod-cores",
        type=IntegerRange(min=1),
        metavar="N",
        help="Physical cores of a pod, which set its CPU requests and limits.  [default: the resources of --values]",
    ),
    click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16"]),
        help="Precision of the model.  [default: model.precision of --values, else that of the calibration]",
    ),
    click.option("--spot/--on-demand", default=False, show_default=True, help="Market of the nodes."),
    click.option("--max-nodes", type=IntegerRange(min=1), metavar="N", help="Quota of nodes.  [default: no quota]"),
)
"""Adds the argument `site` to a command."""
