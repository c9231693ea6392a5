"""`undertone-model verify`."""

from pathlib import Path

import click

from undertone_model import goldens as golden_files
from undertone_model.cli import options
from undertone_model.cli.startup import quiet_tensorflow


@click.command()
@click.argument("folder", metavar="DIR", type=options.FOLDER)
@click.option("--goldens", type=click.Path(path_type=Path, dir_okay=False), help="Reference outputs for your own weights.")
def verify(folder: Path, goldens: Path | None) -> None:
    """Check the newest export in DIR.

    It must be what its contract says, and compute what the original implementation computes.
    """
    with quiet_tensorflow():
        from undertone_model import verify as verification
    newest = verification.newest(folder)
    weights = verification.read_contract(newest).weights_sha256
    reference = golden_files.load(goldens) if goldens else golden_files.committed(weights)
    found = verification.verify(newest, reference)
    contract = found.contract
    click.echo(
        f"{found.folder}: {contract.name} version {contract.version}, {contract.precision}, {len(contract.labels)} labels"
    )
    click.echo("contract, tokenizer and signature agree")
    if found.rows:
        click.echo(
            f"{found.rows} reference outputs agree; largest difference of a probability {found.largest_difference:.1e} "
            f"(allowed {verification.TOLERANCE:.0e})"
        )
    else:
        click.echo("no reference outputs are known for these weights, so only the form was checked; see --goldens")
