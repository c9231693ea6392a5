"""`undertone-model verify`."""

from dataclasses import replace
from pathlib import Path

import click
from undertone_protos.v1.contract_pb2 import ModelContract
from undertone_telemetry.options import refuse_unused

from undertone_model import sources
from undertone_model.cli import options
from undertone_model.contract import PROBLEM_TYPES, read_contract
from undertone_model.data import load_sample
from undertone_model.goldens import load_goldens, packaged_goldens
from undertone_model.startup import quiet_tensorflow


@click.command()
@click.argument("folder", metavar="DIR", type=options.FOLDER)
@click.option(
    "--goldens",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Golden outputs of your own weights, written by model/make_goldens.py.",
)
@options.sample
@click.option("--checkpoint", type=options.FOLDER, help="Checkpoint that was exported, for the comparison with fp32.")
@options.large
@options.adapters
@options.base
def verify(
    *,
    folder: Path,
    goldens: Path | None,
    sample: Path,
    checkpoint: Path | None,
    large: bool,
    adapters: Path,
    base: str | None,
) -> None:
    """Verify the newest export in DIR.

    Contract, tokenizer and signature must agree, and the answers must agree with the golden outputs
    of the original implementation. An export in bf16, and any export with --sample, must agree with
    fp32: at most 0.5 % of the texts have a different label, and no probability differs by more than
    0.02. A text of a multi-label model has a different label if any probability is on the other
    side of its threshold.
    """
    if checkpoint:
        refuse_unused("has no effect with --checkpoint: omit one of them", "large", "adapters", "base")
    if large:
        adapters, base = options.large_model(adapters, base)
    with quiet_tensorflow():
        from undertone_model import verification
    newest = verification.newest_export(folder)
    contract = read_contract(newest)
    expected = load_goldens(goldens) if goldens else packaged_goldens(contract.weights_sha256)
    source = texts = None
    if checkpoint or not options.is_default("sample") or (contract.precision != "fp32" and contract.weights_sha256):
        texts = load_sample(sample)
        source = _source_of(contract, checkpoint, adapters, base)
    result = verification.verify(newest, expected, source, texts)
    labels, kind = len(contract.labels), PROBLEM_TYPES[contract.problem_type]
    click.echo(f"{result.folder}: {contract.name} version {contract.version}, {contract.precision}, {kind}, {labels} labels")
    if contract.thresholds:
        thresholds = zip(contract.labels, contract.thresholds, strict=True)
        click.echo(f"thresholds: {', '.join(f'{label} {threshold:g}' for label, threshold in thresholds)}")
    if contract.HasField("flag_thresholds"):
        flags = contract.flag_thresholds
        click.echo(f"flags: languages {', '.join(flags.languages) or 'any'}; thresholds fitted on {flags.sample}")
    click.echo("contract, tokenizer and signature agree")
    if result.golden_rows:
        click.echo(
            f"{result.golden_rows} golden outputs agree; the largest difference of a probability is "
            f"{result.largest_difference:.1e} (allowed: {verification.TOLERANCE[contract.precision]:.0e})"
        )
    else:
        click.echo("the answers were not compared, because these weights have no golden outputs; see --goldens")
    if result.agreement:
        click.echo(result.agreement)


def _source_of(contract: ModelContract, checkpoint: Path | None, adapters: Path, base: str | None) -> sources.Source:
    """The weights of an export: the checkpoint with its thresholds, or the adapters with its
    calibration.
    """
    if checkpoint:
        source = sources.from_checkpoint(checkpoint, PROBLEM_TYPES[contract.problem_type])
        return replace(source, thresholds=tuple(contract.thresholds))
    return sources.from_adapters(base, contract.calibration.prior or None, adapters)
