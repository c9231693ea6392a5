"""`undertone-model thresholds`."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from undertone_model.batches import encode
from undertone_model.cli import options
from undertone_model.contract import PROBLEM_TYPES, TOKENIZER_FILE, read_contract
from undertone_model.errors import VerificationError
from undertone_model.startup import quiet_tensorflow
from undertone_model.thresholds import Fit, fit_threshold, read_labelled_texts


@click.command()
@click.argument("folder", metavar="DIR", type=options.FOLDER)
@click.argument("texts", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
def thresholds(folder: Path, texts: Path) -> None:
    """Fit thresholds of a multi-label export to labelled texts.

    DIR is as for `verify`. Each line of the JSONL file FILE is an object with `text` and `labels`,
    a list of names. Use texts that the model was not trained on. The command prints the threshold
    with the best F1 of each label as JSON, for `export --thresholds`. A label that no text has gets
    0.5.
    """
    with quiet_tensorflow():
        from undertone_model.session import SavedModelSession
        from undertone_model.verification import newest_export
    newest = newest_export(folder)
    contract = read_contract(newest)
    if PROBLEM_TYPES[contract.problem_type] != "multi-label":
        raise VerificationError(f"{newest} is single-label: it has no thresholds")
    labelled = read_labelled_texts(texts, contract.labels)
    tokenizer = Tokenizer.from_file(str(newest / TOKENIZER_FILE))
    with SavedModelSession(newest) as session:
        probabilities = session.run(encode(tokenizer, labelled.texts, contract.max_tokens))
    fits = {
        label: fit_threshold(probabilities[:, index], labelled.targets[:, index]) for index, label in enumerate(contract.labels)
    }
    _print_table(fits, len(labelled.texts))
    click.echo(json.dumps({label: fit.threshold for label, fit in fits.items()}, indent=2, ensure_ascii=False))


def _print_table(fits: dict[str, Fit], texts: int) -> None:
    table = Table("label", "texts", "threshold", "F1", "F1 with 0.5", title=f"Fit to {texts} texts")
    for label, fit in fits.items():
        table.add_row(label, str(fit.texts), f"{fit.threshold:.4f}", f"{fit.f1:.3f}", f"{fit.default_f1:.3f}")
    Console(stderr=True).print(table)
