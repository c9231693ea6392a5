"""Renders the page as one HTML document that loads nothing, and writes it to a file."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import jinja2
from undertone_client.jobs import OutputError

from undertone_cli import formatting
from undertone_cli.report import charts, throughput_chart
from undertone_cli.report.arcs import paragraph_number, title_of
from undertone_cli.report.data import find_texts, group_failures, read_scores
from undertone_cli.report.page import Page, compose
from undertone_cli.report.palette import tones
from undertone_cli.run_folder import RunFolder, read_failures, replace_file, temporary_path

MAX_CHARACTERS = 700
"""Longest quotation of a paragraph."""


def write_report(path: Path, output: Path, *, with_text: bool = False) -> Path:
    """Write the report on the folder `path` to the file `output`, and return `output`.

    With `with_text`, read the inputs again and quote the strongest paragraphs. The page says how
    many of their texts are no longer in the inputs.

    Raises:
        OutputError: the folder has no manifest or no scores, has scores of different models, or is
            damaged, or `output` cannot be written.
    """
    folder = RunFolder(path)
    manifest = folder.read_manifest()
    if manifest is None:
        raise OutputError(f"{path} has no _run.json; name a folder that `undertone score --out` wrote")
    scores = read_scores(folder, manifest)
    page = compose(path.resolve().name, manifest, scores, group_failures(read_failures(folder)))
    html = render(page, find_texts(manifest.identity, page.hashes) if with_text else None)
    try:
        temporary_path(output).write_text(html, encoding="utf-8")
        replace_file(output)
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror or error}; name another file with --output") from None
    return output


def render(page: Page, texts: Mapping[str, str] | None = None) -> str:
    """The HTML document. `texts` are those to quote, by hash; None if no texts were requested."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": formatting.percent,
        "number": formatting.number,
        "duration": formatting.duration,
        "date_and_time": formatting.date_and_time,
        "title_of": title_of,
        "paragraph_number": paragraph_number,
    }
    environment.globals |= {
        "pitch": charts.PITCH,
        "headroom": charts.HEADROOM,
        "width": charts.WIDTH,
        "thumbnail_height": charts.THUMBNAIL_HEIGHT,
        "rate_height": throughput_chart.RATE_HEIGHT,
        "calls_height": throughput_chart.CALLS_HEIGHT,
        "max_characters": MAX_CHARACTERS,
    }
    style = environment.get_template("report.css").render(tones=tones([label.label for label in page.labels], page.shown))
    script = (files(__package__) / "templates" / "report.js").read_text(encoding="utf-8")
    return environment.get_template("report.html").render(
        page=page,
        texts=texts,
        missing=len(page.hashes - texts.keys()) if texts is not None else 0,
        style=style,
        script=script,
        policy=_content_security_policy(style, script),
    )


def _content_security_policy(style: str, script: str) -> str:
    """Allows the page's own style and script, and nothing else."""
    return f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; base-uri 'none'; form-action 'none'"


def _source(content: str) -> str:
    """The policy's source expression for an inline element with this content."""
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
