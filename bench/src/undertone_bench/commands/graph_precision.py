"""Effect of rounding on the answers of the emotion model."""

from collections.abc import Sequence
from pathlib import Path

import click
from undertone_model.data import PACKAGED_STORIES

from undertone_bench.options import progress, reporting
from undertone_bench.report import Report, Table


@click.command(
    epilog="""\b
Examples:
  undertone-bench graph precision
  undertone-bench graph precision --only 'int8, weights only' --only 'bf16, as exported'"""
)
@click.option("--only", multiple=True, metavar="NAME", help="Name of a rounding; repeatable. Default: all.")
@click.option("--base", metavar="DIR|HUB_ID", help="Encoder checkpoint. Default: all-MiniLM-L6-v2 from its package.")
@click.option(
    "--sample",
    type=click.Path(exists=True, path_type=Path),
    default=PACKAGED_STORIES,
    show_default="the packaged stories",
    help="Texts, as for `undertone-model verify`.",
)
@reporting
def precision(only: Sequence[str], base: str | None, sample: Path) -> Report:
    """Compare rounded variants of the emotion model with fp32, by the figures of the export's gate.

    bf16 is computed as in the export. int8 numbers are rounded, and their products summed in fp32.
    The two rows that end in "trained" are of quantization-aware training: the adapters learn to
    give the answers in fp32 although they are rounded. Takes 15 minutes of one core.
    """
    from undertone_bench import rounding  # TensorFlow takes ten seconds to import

    if unknown := set(only) - set(rounding.NAMES):
        choices = "\n  ".join(rounding.NAMES)
        raise click.UsageError(f"--only {min(unknown)!r} is invalid: use one of\n  {choices}")
    names = list(only or rounding.NAMES)
    rows = []
    for name, row in zip(names, rounding.compare(names, base, sample), strict=True):
        progress(f"{name}: {row[0]} different labels, largest difference {row[1]}")
        rows.append((name, *row))
    return Report.new("graph-precision", "emotions", table=Table(("rounded", *rounding.HEADER), tuple(rows)))
