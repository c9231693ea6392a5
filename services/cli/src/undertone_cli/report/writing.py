"""From a scored folder to a file of HTML."""

from pathlib import Path

from undertone_client.jobs import OutputError

from undertone_cli.job.failures import read_failures
from undertone_cli.job.folder import OutputFolder
from undertone_cli.report.failures import group_failures
from undertone_cli.report.page import compose
from undertone_cli.report.rendering import render
from undertone_cli.report.scores import read_scores
from undertone_cli.report.texts import find_texts


def write_report(path: Path, output: Path, *, with_text: bool = False) -> Path:
    """Write the report of the folder `path`, which `undertone score` filled: one HTML file that needs no network.

    Returns `output`. With `with_text`, the inputs are read again for the text of the few paragraphs that are quoted; a text
    that has changed since, or whose input is gone, is left out, and the page says how many were.

    Raises:
        OutputError: the folder has no manifest or no scores, mixes models, or is damaged, or `output` cannot be written.
    """
    folder = OutputFolder(path)
    manifest = folder.read_manifest()
    if manifest is None:
        raise OutputError(f"{path} has no run.json; name the folder that `undertone score … --out` wrote")
    scores = read_scores(folder, manifest)
    page = compose(path.resolve().name, manifest, scores, group_failures(read_failures(folder)))
    html = render(page, find_texts(manifest.identity, page.hashes) if with_text else None)
    aside = output.with_name(f".{output.name}.aside")
    try:
        aside.write_text(html, encoding="utf-8")
        aside.replace(output)
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror or error}; name another file with --output") from None
    return output
