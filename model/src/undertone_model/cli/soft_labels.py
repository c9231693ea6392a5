"""`undertone-model soft-labels`."""

from functools import partial
from pathlib import Path

import click
import numpy as np

from undertone_model.adapters import LARGE_ADAPTERS, load_adapters
from undertone_model.bases import LARGE_BASE
from undertone_model.cli import options
from undertone_model.startup import quiet_tensorflow


@click.command("soft-labels")
@options.stories
@options.fiction_corpora(required=True)
@click.option(
    "--texts",
    multiple=True,
    type=options.FILE,
    metavar="FILE",
    help="More fiction without labels: a file with one paragraph per line, or a .jsonl file with `text`. Repeatable.",
)
@click.option(
    "--adapters",
    type=options.FOLDER,
    default=LARGE_ADAPTERS,
    show_default="the packaged adapters of the large model",
    help="Folder of the adapters of the teacher.",
)
@click.option("--base", metavar="DIR|HUB_ID", default=LARGE_BASE, show_default=True, help="Base encoder of the teacher.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("build/soft-labels.jsonl"),
    show_default=True,
    help="Output file. A file of the same teacher is continued.",
)
def soft_labels(
    *,
    stories: Path,
    fiction: Path,
    reman: Path,
    xed: Path,
    texts: tuple[Path, ...],
    adapters: Path,
    base: str,
    out: Path,
) -> None:
    """Answer texts without labels with the large model.

    The texts are passages of the train splits of the stories, the paragraphs of fiction and REMAN
    and of --texts, and half of the lines of the train split of XED. `train --soft-labels` distils
    the answers into the small model. A command that was ended continues where it ended.
    """
    with quiet_tensorflow():
        from undertone_model.data import load_sample, load_stories
        from undertone_model.later_stages import THIRD_STAGE
        from undertone_model.soft_labels import write_soft_labels
        from undertone_model.teacher import load_teacher
        from undertone_model.training_sets import load_fiction, load_passages, load_subtitles
        from undertone_model.unlabelled import unlabelled_texts

    datasets = load_stories(stories, "train"), load_fiction(fiction, "train"), load_passages(reman, "train")
    paragraphs = [example.text for dataset in datasets for example in dataset.examples]
    paragraphs += [text for path in texts for text in load_sample(path).texts]
    lines = [example.text for example in load_subtitles(xed, "train").examples]
    chosen = unlabelled_texts(paragraphs, lines, np.random.default_rng(THIRD_STAGE.seed))
    teacher = load_adapters(adapters)
    answer = load_teacher(base, teacher, THIRD_STAGE.max_tokens)
    write_soft_labels(out, [teacher.sha256], chosen, answer, partial(_report, len(chosen)))
    click.echo(out)


def _report(texts: int, answered: int) -> None:
    click.echo(f"{answered} of {texts} texts", err=True)
