"""The page as HTML: one document, with nothing in it that a browser would have to fetch."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

import jinja2

from undertone_cli.durations import duration
from undertone_cli.report import charts, course, numerals
from undertone_cli.report.page import Page
from undertone_cli.report.palette import tones
from undertone_cli.report.story import title_of

MAX_CHARACTERS = 700
"""Characters shown of a paragraph's text."""


def render(page: Page, texts: Mapping[str, str] | None = None) -> str:
    """The HTML document. `texts` by hash, for the paragraphs it shows; None means that none were asked for."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": numerals.percent,
        "number": numerals.number,
        "duration": duration,
        "moment": numerals.moment,
        "title_of": title_of,
        "nth": numerals.paragraph_number,
    }
    environment.globals |= {
        "pitch": charts.PITCH,
        "headroom": charts.HEADROOM,
        "width": charts.WIDTH,
        "thumb_height": charts.THUMB_HEIGHT,
        "rate_height": course.RATE_HEIGHT,
        "calls_height": course.CALLS_HEIGHT,
        "max_characters": MAX_CHARACTERS,
    }
    style = environment.get_template("report.css").render(tones=tones([emotion.label for emotion in page.emotions]))
    script = (files(__package__) / "page" / "report.js").read_text(encoding="utf-8")
    return environment.get_template("report.html").render(
        page=page,
        texts=texts,
        missing=len(page.hashes - texts.keys()) if texts is not None else 0,
        style=style,
        script=script,
        policy=_policy(style, script),
    )


def _policy(style: str, script: str) -> str:
    """The Content-Security-Policy that allows the page its own style and script, and nothing else."""
    return f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; base-uri 'none'; form-action 'none'"


def _source(content: str) -> str:
    """What stands in a policy for an inline element with exactly this content."""
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
