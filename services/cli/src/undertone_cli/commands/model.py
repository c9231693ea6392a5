"""`undertone model`."""

import asyncio
import json
from dataclasses import asdict

import click
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.table import Table
from rich.text import Text
from undertone_client.client import Client
from undertone_client.jobs import EXIT_CODES, ConnectionOptions, connection_options, explain_errors
from undertone_client.values import ProblemType, ServedModel

from undertone_cli.console import output_console


@click.command(
    epilog=f"""\b
Examples:
  undertone model
  undertone model --json | jq .contract.labels

{EXIT_CODES}"""
)
@click.option("--json", "as_json", is_flag=True, help="Print the model contract and the limits as JSON.")
@connection_options
@explain_errors
def model(*, as_json: bool, connection: ConnectionOptions) -> None:
    """Show the served model and the limits of the service."""
    served = asyncio.run(_served_model(connection))
    if as_json:
        contract = MessageToDict(served.contract, preserving_proto_field_name=True)
        click.echo(json.dumps({"contract": contract, "limits": asdict(served.limits)}, indent=2, ensure_ascii=False))
    else:
        _show(served, output_console())


async def _served_model(connection: ConnectionOptions) -> ServedModel:
    async with Client(connection.target, settings=connection.settings()) as client:
        return await client.model()


def _describe_labels(served: ServedModel) -> str:
    if served.problem_type is ProblemType.SINGLE_LABEL:
        return f"one of {', '.join(served.labels)}"
    return f"any number of {', '.join(served.labels)}"


def _describe_thresholds(served: ServedModel) -> str:
    if len(set(served.thresholds)) == 1:
        return f"{served.thresholds[0]:.4g} for each label"
    pairs = zip(served.labels, served.thresholds, strict=True)
    return ", ".join(f"{label} {threshold:.4g}" for label, threshold in pairs)


def _show(served: ServedModel, console: Console) -> None:
    contract, limits = served.contract, served.limits
    rows = [
        ("model", str(served.model)),
        ("labels", _describe_labels(served)),
        *([("thresholds", _describe_thresholds(served))] if served.thresholds else []),
        ("maximum sequence", f"{served.max_tokens:,} tokens"),
    ]
    if contract.architecture.type:
        shape = contract.architecture
        rows.append(
            ("architecture", f"{shape.type}, {shape.layers} layers, hidden size {shape.hidden_size}, {shape.pooling} pooling")
        )
    if contract.HasField("calibration"):
        prior = f", {contract.calibration.prior} prior" if contract.calibration.prior else ""
        rows.append(("calibration", f"temperature {contract.calibration.temperature:.3g}{prior}"))
    rows += [(score.data, f"{score.metric} {score.value:.3f}") for score in contract.scores]
    if contract.HasField("created_at"):
        rows.append(("created", f"{contract.created_at.ToDatetime():%Y-%m-%d} by {contract.producer}"))
    rows += [
        ("paragraph", f"up to {limits.max_paragraph_characters:,} characters, {limits.max_paragraph_bytes:,} bytes"),
        ("call", f"up to {limits.max_batch_paragraphs:,} paragraphs, {limits.max_batch_bytes:,} bytes"),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value))
    console.print(table)
