"""`undertone-model export` and `merge`."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Literal, get_args

import click
from undertone_telemetry.options import refuse_unused

from undertone_model import sources
from undertone_model.adapters import load_adapters
from undertone_model.checkpoint import save_checkpoint
from undertone_model.cli import options
from undertone_model.contract import Precision
from undertone_model.data import PACKAGED_STORIES, load_sample, load_usual_texts
from undertone_model.errors import ExportError, VerificationError
from undertone_model.labels import ProblemType
from undertone_model.special_tokens import SpecialTokens
from undertone_model.startup import quiet_tensorflow
from undertone_model.thresholds import DEFAULT_THRESHOLD, read_thresholds

BF16_CPU_FLAGS: Final = frozenset({"amx_bf16", "avx512_bf16"})
"""CPU flags of bf16 multiplication in hardware. In software it is slower than float32."""


DEFAULT_LANGUAGES: Final = ("en",)
"""Languages of our model, and of the packaged stories."""


def _parse_languages(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """ISO 639-1 codes, separated by commas; none is an empty tuple."""
    if value is None or value == "none":
        return None if value is None else ()
    codes = tuple(dict.fromkeys(code.strip() for code in value.split(",")))
    if "" in codes:
        raise click.BadParameter(f"{value!r} has an empty code: use ISO 639-1 codes such as en,de, or none")
    return codes


@click.command()
@click.argument("folder", metavar="DIR", type=options.FOLDER)
@click.option(
    "--checkpoint",
    type=options.FOLDER,
    help="Export the fine-tuned classifier in this Hugging Face folder, not our model.",
)
@click.option(
    "--problem-type",
    type=click.Choice(get_args(ProblemType)),
    help="Problem type of a checkpoint whose config.json has none: exactly one label for each text, or any number of labels. "
    "Default: single-label.",
)
@click.option(
    "--threshold",
    type=float,
    help="Threshold of the labels of a multi-label checkpoint: the smallest probability with which a text has the label. "
    f"Default: {DEFAULT_THRESHOLD}.",
)
@click.option(
    "--thresholds",
    type=click.Path(path_type=Path, dir_okay=False),
    help='JSON file with thresholds of labels, such as {"joy": 0.3}. --threshold sets those of the other labels.',
)
@click.option(
    "--random",
    "size",
    type=click.Choice(list(sources.ARCHITECTURES)),
    help="Export random weights of this size, for benchmarks.",
)
@options.large
@options.adapters
@click.option(
    "--prior",
    metavar="novels|stories|comments",
    help="Kind of text to calibrate our model for. It determines the frequency of neutral and the confidence. "
    "Default: novels, or stories for adapters of the first stage.",
)
@click.option(
    "--name", metavar="NAME", help="Name of the model. Default: emotions, emotions-large, or the name of the checkpoint folder."
)
@click.option("--version", type=click.IntRange(1), help="Version of the model. Default: the largest version in DIR plus 1.")
@click.option("--max-tokens", type=int, help="Maximum length of a sequence in tokens. Default: the maximum of the model.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="Precision of the graph. auto: bf16 if the CPU of this machine has AMX or AVX512-BF16 and the answers agree "
    "with fp32, else fp32.",
)
@click.option(
    "--special-tokens",
    type=click.Choice(get_args(SpecialTokens)),
    default="text",
    show_default=True,
    help="Meaning of special tokens such as [SEP] or </s> in a text: ordinary text, or the model's special tokens. "
    "control is for models that were fine-tuned with special tokens in their texts.",
)
@click.option(
    "--languages",
    metavar="CODE,…|none",
    callback=_parse_languages,
    help="Languages that the model was made for, such as en,de. Results of texts in other languages and of unreadable texts "
    "get a flag. The thresholds are fitted on --sample, whose texts must be in these languages. none: no flags. "
    "Default: en for our model, fitted on the packaged stories; none for --checkpoint and --random.",
)
@options.sample
@options.base
def export(
    *,
    folder: Path,
    checkpoint: Path | None,
    problem_type: ProblemType | None,
    threshold: float | None,
    thresholds: Path | None,
    size: str | None,
    large: bool,
    adapters: Path,
    prior: str | None,
    name: str | None,
    version: int | None,
    max_tokens: int | None,
    precision: Literal["auto", "fp32", "bf16"],
    special_tokens: SpecialTokens,
    languages: tuple[str, ...] | None,
    sample: Path,
    base: str | None,
) -> None:
    """Export a model for TF Serving to DIR/NAME/VERSION/.

    The export contains the SavedModel, tokenizer.json and contract.json. An export in bf16 is
    written only if its answers to the sample agree with fp32.
    """
    if sum((checkpoint is not None, size is not None, not options.is_default("adapters"))) > 1:
        raise click.UsageError("--checkpoint, --random and --adapters exclude each other")
    if not checkpoint and (problem_type or threshold is not None or thresholds):
        raise click.UsageError("--problem-type, --threshold and --thresholds need --checkpoint")
    if checkpoint or size:
        refuse_unused(
            f"has no effect with --{'checkpoint' if checkpoint else 'random'}: omit one of them", "base", "prior", "large"
        )
    if checkpoint:
        source = sources.from_checkpoint(checkpoint, problem_type)
        if threshold is not None or thresholds:
            source = _with_thresholds(source, threshold, thresholds)
        if not (source.checkpoint.problem_type or problem_type):
            click.echo(
                f"Note: {checkpoint / 'config.json'} has no problem_type. The export is single-label; "
                "for a multi-label model, set --problem-type multi-label.",
                err=True,
            )
        default_name = checkpoint.resolve().name
    elif size:
        source, default_name = sources.random_weights(size), size
    else:
        if large:
            adapters, base = options.large_model(adapters, base)
        source = sources.from_adapters(base, prior, adapters)
        default_name = "emotions-large" if large else "emotions"
    chosen = fastest_precision() if precision == "auto" else precision
    texts = load_sample(sample) if chosen != "fp32" and not size else None
    if languages and set(languages) != set(DEFAULT_LANGUAGES) and options.is_default("sample"):
        raise click.UsageError(f"--languages {','.join(languages)} needs --sample: a file of texts in these languages")
    usual_texts = load_usual_texts(sample) if languages else None
    if languages is None and not checkpoint and not size:
        languages, usual_texts = DEFAULT_LANGUAGES, load_usual_texts(PACKAGED_STORIES)
    with quiet_tensorflow():
        from undertone_model import export as exports
    name = default_name if name is None else name
    write = partial(
        exports.export,
        source,
        folder,
        name,
        version,
        max_tokens,
        special_tokens=special_tokens,
        languages=languages or (),
        usual_texts=usual_texts,
    )
    try:
        version_folder = write(precision=chosen, sample=texts)
    except VerificationError as error:
        if precision != "auto":
            raise
        click.echo(f"Warning: an export in bf16 was not written: {error}. The export is therefore in fp32.", err=True)
        version_folder = write()
    click.echo(version_folder)


def _with_thresholds(source: sources.Source, threshold: float | None, path: Path | None) -> sources.Source:
    if source.problem_type != "multi-label":
        raise ExportError("--threshold and --thresholds need a multi-label model, but this model is single-label")
    return replace(source, thresholds=read_thresholds(path, threshold, source.checkpoint.labels))


def fastest_precision(cpuinfo: Path = Path("/proc/cpuinfo")) -> Precision:
    """The faster precision on this machine, by the CPU flags in `cpuinfo`. Without that file:
    fp32.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return "fp32"
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return "fp32" if BF16_CPU_FLAGS.isdisjoint(flags) else "bf16"


@click.command()
@click.argument("folder", metavar="DIR", type=options.FOLDER)
@options.large
@options.adapters
@options.base
def merge(*, folder: Path, large: bool, adapters: Path, base: str | None) -> None:
    """Write our model to DIR as a Hugging Face checkpoint.

    The adapters are merged into the base. The calibration is not included, because a checkpoint
    returns logits and only an export returns probabilities.
    """
    if large:
        adapters, base = options.large_model(adapters, base)
    save_checkpoint(folder, sources.merge_into_base(base, load_adapters(adapters)))
    click.echo(folder)
