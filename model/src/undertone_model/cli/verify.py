"""`undertone-model verify`."""

from pathlib import Path

import click
from click.core import ParameterSource
from undertone_protos.v1 import contract_pb2

from undertone_model import adapters as adapter_files
from undertone_model import goldens as golden_files
from undertone_model import sample as samples
from undertone_model import sources
from undertone_model.cli import options
from undertone_model.cli.startup import quiet_tensorflow


@click.command()
@click.argument("folder", metavar="DIR", type=options.FOLDER)
@click.option("--goldens", type=click.Path(path_type=Path, dir_okay=False), help="Reference outputs for your own weights.")
@options.sample
@click.option("--checkpoint", type=options.FOLDER, help="The checkpoint that it was exported from, to compare it with fp32.")
@options.adapters
@options.base
@click.pass_context
def verify(
    context: click.Context,
    folder: Path,
    goldens: Path | None,
    sample: Path,
    checkpoint: Path | None,
    adapters: Path | None,
    base: str | None,
) -> None:
    """Check the newest export in DIR.

    It must be what its contract says, and compute what the original implementation computes. One in bf16, and every one if
    --sample is given, must agree with fp32: at most 0.5 % of the texts get another label, and no probability differs by more
    than 0.02.
    """
    with quiet_tensorflow():
        from undertone_model import verify as verification
    newest = verification.newest(folder)
    contract = verification.read_contract(newest)
    reference = golden_files.load(goldens) if goldens else golden_files.committed(contract.weights_sha256)
    asked = context.get_parameter_source("sample") is not ParameterSource.DEFAULT
    source = texts = None
    if asked or (contract.precision != "fp32" and contract.weights_sha256):
        texts = samples.read(sample)
        source = _source(contract, checkpoint, adapters, base)
    found = verification.verify(newest, reference, source, texts)
    click.echo(
        f"{found.folder}: {contract.name} version {contract.version}, {contract.precision}, {len(contract.labels)} labels"
    )
    click.echo("contract, tokenizer and signature agree")
    if found.rows:
        click.echo(
            f"{found.rows} reference outputs agree; largest difference of a probability {found.largest_difference:.1e} "
            f"(allowed {verification.TOLERANCE[contract.precision]:.0e})"
        )
    else:
        click.echo("no reference outputs are known for these weights, so only the form was checked; see --goldens")
    if found.agreement:
        click.echo(found.agreement)


def _source(
    contract: contract_pb2.ModelContract, checkpoint: Path | None, adapters: Path | None, base: str | None
) -> sources.Source:
    """The weights that an export says it was made from: a checkpoint's, or adapters with the export's own calibration."""
    if checkpoint:
        return sources.from_folder(checkpoint)
    return sources.from_adapters(base, contract.calibration.prior or "stories", adapters or adapter_files.COMMITTED)
