"""The routes of the page and of its files, which are served as they are in the folder `page`."""

from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePath
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGE: Final = "index.html"
"""File of the page, at `/`. The other files are below `/playground/`."""

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Allows files and calls of the same origin only, no inline code, and no text as markup."""

_MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    # A browser asks for each file again, so that the files of two versions are not mixed.
    "cache-control": "no-cache",
}


def playground_routes() -> list[Route]:
    """The page at `/`, and its files below `/playground/`.

    Addresses in the page are relative, so that a proxy may serve it below a prefix that ends with a
    slash.
    """
    return [
        Route("/" if file.name == PAGE else f"/playground/{file.name}", _endpoint(file.read_bytes(), _MEDIA_TYPES[suffix]))
        for file in sorted((files(__package__) / "page").iterdir(), key=lambda file: file.name)
        if (suffix := PurePath(file.name).suffix) in _MEDIA_TYPES
    ]


def _endpoint(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    tag = f'"{sha256(content).hexdigest()[:32]}"'
    headers = {**_HEADERS, "etag": tag, "content-type": media_type}

    async def answer(request: Request) -> Response:
        known = request.headers.get("if-none-match", "")
        if tag in (each.strip().removeprefix("W/") for each in known.split(",")):
            return Response(status_code=304, headers={**_HEADERS, "etag": tag})
        return Response(content, headers=headers)

    return answer
