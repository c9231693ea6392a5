"""`undertone-model evaluate`."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from undertone_telemetry.options import refuse_unused

from undertone_model.cli import options
from undertone_model.corpora import CORPORA, TestSet, read_test_set
from undertone_model.data import load_sample
from undertone_model.errors import DataError
from undertone_model.startup import quiet_tensorflow

if TYPE_CHECKING:
    from undertone_model.evaluation.classifiers import Classifier
    from undertone_model.evaluation.report import Report

SETS: Final = (*CORPORA, "robustness", "documents", "suites", "flags")
OF_FICTION: Final = ("robustness", "documents")
"""Sets of SETS that are made of the rows of fiction."""
SAMPLE_SEED: Final = 20_211
"""Seed of the rows that --rows selects."""


def _parse_sets(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """A comma-separated list of SETS."""
    names = None if value is None else tuple(name.strip() for name in value.split(","))
    if unknown := [name for name in names or () if name not in SETS]:
        raise click.BadParameter(f"{unknown[0]!r} is not a set; use some of {', '.join(SETS)}, separated by commas")
    return names


def _parse_rows(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    """Numbers of rows by set, of values such as xed=3000."""
    rows = {}
    for value in values:
        name, number = (*value.split("=", 1), "")[:2]
        if name not in CORPORA or not number.isdecimal() or int(number) == 0:
            raise click.BadParameter(f"{value!r} is invalid; use SET=N, such as xed=3000, with one of {', '.join(CORPORA)}")
        rows[name] = int(number)
    return rows


@click.command()
@options.stories
@click.option("--goemotions", type=options.EXISTING_FOLDER, help="GoEmotions: folder with train.tsv, test.tsv and labels.txt.")
@click.option(
    "--reman",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="REMAN: reman-version1.0.xml, or a .tsv file with the annotated sentences.",
)
@click.option(
    "--xed", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE", help="XED: en-annotated.tsv."
)
@click.option("--tales", type=options.EXISTING_FOLDER, help="Tales of Alm: folder of the authors' folders.")
@click.option(
    "--emolit", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE", help="EmoLit: gold.tsv."
)
@click.option("--isear", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE", help="ISEAR: isear.csv.")
@click.option(
    "--empathetic",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="EmpatheticDialogues: test.csv.",
)
@click.option(
    "--sets",
    metavar="NAME,…",
    callback=_parse_sets,
    help=f"Sets to evaluate: some of {', '.join(SETS)}. Default: all whose data is given.",
)
@click.option(
    "--rows",
    callback=_parse_rows,
    multiple=True,
    metavar="SET=N",
    help="Evaluate N rows of a set, drawn with a fixed seed. Repeatable.",
)
@click.option(
    "--all-rows",
    is_flag=True,
    help="Evaluate all rows of REMAN and XED. Default: the authors and lines that `train` holds out.",
)
@click.option(
    "--usual-texts",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    metavar="FILE",
    help="Count the flags of these texts too: a file with one text per line, or a .jsonl file with `text`. Repeatable.",
)
@click.option("--checkpoint", type=options.EXISTING_FOLDER, multiple=True, help="Evaluate a fine-tuned checkpoint. Repeatable.")
@click.option("--export", type=options.EXISTING_FOLDER, multiple=True, help="Evaluate the newest export in DIR. Repeatable.")
@options.large
@options.adapters
@options.base
@click.option("--prior", help="Prior of the adapters that all differences refer to. Default: as for `export`.")
@click.option(
    "--lexicon",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Evaluate a lexicon too: lines with an emotion and its words, separated by tabs (categories.tsv of Empath).",
)
@click.option(
    "--baselines/--no-baselines",
    default=True,
    show_default=True,
    help="Evaluate baselines too: always neutral, --lexicon, and with --goemotions logistic regression on TF-IDF.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write all results.")
def evaluate(
    *,
    stories: Path,
    goemotions: Path | None,
    reman: Path | None,
    xed: Path | None,
    tales: Path | None,
    emolit: Path | None,
    isear: Path | None,
    empathetic: Path | None,
    sets: tuple[str, ...] | None,
    rows: dict[str, int],
    all_rows: bool,
    usual_texts: tuple[Path, ...],
    checkpoint: tuple[Path, ...],
    export: tuple[Path, ...],
    large: bool,
    adapters: Path,
    base: str | None,
    prior: str | None,
    lexicon: Path | None,
    baselines: bool,
    markdown: bool,
    json_file: Path | None,
) -> None:
    """Evaluate models on stories, public corpora and suites.

    By default, the packaged model is evaluated, without calibration and with each prior. With
    --checkpoint or --export, those models are evaluated instead, and the adapters only if
    --adapters or --large is set. Labels of other models are mapped to the nine emotions.

    The corpora are not included: model/CARD.md says where to find them. Only rows with exactly one
    of the nine emotions have F1 and calibration error. Robustness and documents (one emotional
    paragraph among five neutral ones, in windows of several lengths) are measured on fiction:
    stories, REMAN, tales and EmoLit. Texts are truncated to the number of tokens of the model.
    Flags of foreign and unreadable texts are counted in suites of texts that must have a flag, and
    in all other texts, which must have none.
    """
    paths = {
        "stories": stories,
        "goemotions": goemotions,
        "reman": reman,
        "xed": xed,
        "tales": tales,
        "emolit": emolit,
        "isear": isear,
        "empathetic": empathetic,
    }
    if not baselines:
        refuse_unused("has no effect with --no-baselines: omit one of them", "lexicon")
    if (checkpoint or export) and options.is_default("adapters") and not large:
        reason = f"has no effect with --{'checkpoint' if checkpoint else 'export'}: omit it, or add --adapters"
        refuse_unused(reason, "base", "prior")
    test_sets = _read_sets(paths, sets, rows, all_rows=all_rows)
    _check_writable(json_file)
    with quiet_tensorflow():
        from undertone_model.evaluation import baselines as baseline
        from undertone_model.evaluation import classifiers
        from undertone_model.evaluation.run import Benchmark, run

    models: list[Classifier] = [
        *(classifiers.checkpoint_classifier(folder) for folder in checkpoint),
        *(classifiers.export_classifier(folder) for folder in export),
    ]
    if large:
        adapters, base = options.large_model(adapters, base)
    if large or not models or not options.is_default("adapters"):
        models.insert(0, classifiers.adapters_classifier(adapters, base, prior))
    if baselines:
        models.append(baseline.always_neutral())
        if lexicon:
            models.append(baseline.lexicon(lexicon))
        if goemotions:
            models.append(baseline.tfidf(goemotions, stories))
    benchmark = Benchmark(
        tuple(test_sets),
        robustness=sets is None or "robustness" in sets,
        suites=sets is None or "suites" in sets,
        documents=sets is None or "documents" in sets,
        flags=sets is None or "flags" in sets,
        usual_texts={path.name: load_sample(path).texts for path in usual_texts},
    )
    with _progress(sum(len(benchmark.texts(model)) for model in models)) as advance:
        report = run(benchmark, classifiers.with_distinct_names(models), advance)
    if json_file:
        json_file.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    _print(report, as_markdown=markdown)


def _read_sets(
    paths: dict[str, Path | None], sets: tuple[str, ...] | None, rows: dict[str, int], *, all_rows: bool
) -> list[TestSet]:
    """The chosen test sets. Raises a usage error for a set or a number of rows without data."""
    chosen = [name for name in CORPORA if (name in sets if sets else paths[name])]
    of_fiction = [name for name in sets or () if name in OF_FICTION]
    if of_fiction and not any(CORPORA[name].fiction for name in chosen):
        fiction = ", ".join(name for name, corpus in CORPORA.items() if corpus.fiction)
        raise click.UsageError(f"--sets {of_fiction[0]!r} needs one of the sets {fiction}")
    if missing := sorted(set(rows) - set(chosen)):
        raise click.UsageError(f"--rows {missing[0]}={rows[missing[0]]} has no effect: {missing[0]} is not evaluated")
    test_sets = []
    for name in chosen:
        path = paths[name]
        if path is None:
            raise click.UsageError(f"--sets {name!r} needs --{name} PATH: {CORPORA[name].place}")
        test_set = read_test_set(name, path, all_rows=all_rows)
        test_sets.append(test_set.sample(rows[name], SAMPLE_SEED) if name in rows else test_set)
    return test_sets


def _check_writable(path: Path | None) -> None:
    """Fails before the work, not after it."""
    if path and not path.parent.is_dir():
        raise DataError(f"--json {path} is invalid: the folder {path.parent} does not exist")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar on a terminal, else one line for every tenth of the texts."""
    terminal = sys.stderr.isatty()
    columns = (TextColumn("texts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), disable=not terminal)
    task = bar.add_task("texts", total=total)
    done = 0

    def advance(texts: int) -> None:
        nonlocal done
        tenths = done * 10 // total
        done += texts
        bar.advance(task, texts)
        if not terminal and done * 10 // total > tenths:
            click.echo(f"{done}/{total} texts", err=True)

    with bar:
        yield advance


def _print(report: "Report", *, as_markdown: bool) -> None:
    from undertone_model.evaluation.tables import markdown, tables

    if as_markdown:
        click.echo(markdown(report), nl=False)
        return
    console = Console(width=None if sys.stdout.isatty() else 240)
    for table in tables(report):
        view = Table(*table.columns, title=table.title, title_justify="left")
        for row in table.rows:
            view.add_row(*row)
        console.print(view)
