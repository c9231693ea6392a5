"""From a scored folder to a file of HTML."""

from pathlib import Path

from undertone_client.errors import OutputError
from undertone_client.job.folder import OutputFolder
from undertone_client.job.manifest import Manifest
from undertone_client.report.errors import ReportError
from undertone_client.report.failures import read_failures
from undertone_client.report.page import compose
from undertone_client.report.rendering import render
from undertone_client.report.scores import read_scores
from undertone_client.report.texts import find_texts


def write_report(folder: Path, output: Path, *, with_text: bool = False) -> Path:
    """Write the report of a folder that `undertone score` filled: one HTML file that needs no network. Returns `output`.

    With `with_text`, the inputs are read again for the text of the few paragraphs that are quoted; a text that has changed
    since, or whose input is gone, is left out, and the page says how many were.

    Raises:
        ReportError: the folder has no manifest or no scores, mixes models, or is damaged, or `output` cannot be written.
    """
    manifest = _read_manifest(folder)
    scores = read_scores(folder, manifest)
    page = compose(folder.resolve().name, manifest, scores, read_failures(folder))
    html = render(page, find_texts(manifest.identity, page.hashes) if with_text else None)
    aside = output.with_name(f".{output.name}.aside")
    try:
        aside.write_text(html, encoding="utf-8")
        aside.replace(output)
    except OSError as error:
        raise ReportError(f"{output} cannot be written: {error.strerror or error}; name another file with --output") from None
    return output


def _read_manifest(folder: Path) -> Manifest:
    try:
        manifest = OutputFolder(folder).read_manifest()
    except OutputError as error:
        raise ReportError(str(error)) from None
    if manifest is None:
        raise ReportError(f"{folder} has no run.json; name the folder that `undertone score … --out` wrote")
    return manifest
