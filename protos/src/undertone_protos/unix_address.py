"""Addresses of Unix sockets in gRPC targets."""

from typing import Final
from urllib.parse import unquote

MAX_PATH_BYTES: Final = 107
"""Maximum length of the path of a Unix socket on Linux: sun_path of unix(7), less its end."""

_SCHEMES: Final = ("unix:", "unix-abstract:")


def unix_address_problem(target: str) -> str | None:
    """Why no socket can have the address of a gRPC target. None if it can, or is not a Unix socket.

    gRPC itself reports only that it could not connect.
    """
    scheme = next((scheme for scheme in _SCHEMES if target.startswith(scheme)), None)
    if scheme is None:
        return None
    path = unquote(target.removeprefix(scheme).removeprefix("//"))
    if not path:
        return f"{target!r} has no path: use unix:///path/to/socket"
    length = len(path.encode())
    if length <= MAX_PATH_BYTES:
        return None
    return f"the path {path!r} of the Unix socket has {length} bytes; the limit is {MAX_PATH_BYTES}: use a shorter path"
