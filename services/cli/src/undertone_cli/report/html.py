"""Renders the page as one HTML document that loads nothing, and writes it to a file."""

from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import jinja2
from undertone_client.jobs import OutputError
from undertone_telemetry.durations import duration

from undertone_cli import formatting
from undertone_cli.flag_reasons import describe_flags
from undertone_cli.report import charts, palette, throughput_chart
from undertone_cli.report.chart_data import ChartData, chart_data, row_top
from undertone_cli.report.comparison import compare_runs
from undertone_cli.report.encoded_columns import script_json
from undertone_cli.report.page import MAX_TABLE_ROWS, Page, PageOptions, compose
from undertone_cli.report.stories import title_of
from undertone_cli.report.summary import group_failures
from undertone_cli.report.texts import find_texts
from undertone_cli.run_folder import RunFolder, read_failures, replace_file, temporary_path

MAX_CHARACTERS = 700
"""Longest quotation of a paragraph."""
SCRIPTS = ("data.js", "smoothing.js", "thumbnails.js", "chart.js", "reading.js", "main.js")


def write_report(
    path: Path,
    output: Path,
    *,
    with_text: bool = False,
    chapter_column: str | None = None,
    compare: Path | None = None,
) -> Path:
    """Write the report on the folder `path` to the file `output`, and return `output`.

    Args:
        path: the folder of a run.
        output: the file to write.
        with_text: read the inputs again, quote the strongest paragraphs and find the headings of
            chapters. The page says how many of the texts are no longer in the inputs.
        chapter_column: see `PageOptions`.
        compare: the folder of an older run with which to compare this one.

    Raises:
        OutputError: the folder has no manifest or no scores, has scores of different models, or is
            damaged, or `output` cannot be written.
    """
    folder = RunFolder(path)
    manifest = folder.manifest()
    options = PageOptions(headings=with_text, chapter_column=chapter_column)
    failures = group_failures(read_failures(folder))
    page = compose(folder, manifest, failures, options, compare_runs(path, compare) if compare else None)
    html = render(page, chart_data(page), find_texts(manifest.identity, page.hashes) if with_text else None)
    temporary = temporary_path(output)
    try:
        temporary.write_text(html, encoding="utf-8")
        replace_file(output)
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror or error}; name another file with --output") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return output


def render(page: Page, data: ChartData, texts: Mapping[str, str] | None = None) -> str:
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
        "duration": duration,
        "date_and_time": formatting.date_and_time,
        "valence": formatting.signed,
        "points": formatting.points,
        "reasons": describe_flags,
        "title_of": title_of,
    }
    environment.globals |= {
        "width": charts.WIDTH,
        "rate_height": throughput_chart.RATE_HEIGHT,
        "calls_height": throughput_chart.CALLS_HEIGHT,
        "max_characters": MAX_CHARACTERS,
        "max_rows": MAX_TABLE_ROWS,
    }
    tones = palette.tones([label.label for label in page.labels], page.shown)
    style = environment.get_template("report.css").render(tones=tones, palette=palette)
    templates = files(__package__) / "templates"
    script = '"use strict";\n' + "\n".join((templates / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return environment.get_template("report.html").render(
        page=page,
        data=data,
        data_json=script_json(data.document),
        row_top=row_top(data.peak),
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
