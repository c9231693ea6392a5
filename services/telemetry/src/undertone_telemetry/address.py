"""Where a DataDog agent listens for DogStatsD."""

from typing import Final
from urllib.parse import urlsplit

_SOCKETS: Final = ("unix", "unixgram", "unixstream")


def parse_address(address: str) -> tuple[str | None, int | None, str | None]:
    """Host, port and path of a socket, of which either the first two or the last are None. Raises ValueError."""
    parts = urlsplit(address if "://" in address else f"udp://{address}")
    if parts.scheme in _SOCKETS and parts.path.startswith("/") and not parts.netloc:
        return None, None, address
    try:
        if parts.scheme == "udp" and parts.hostname and parts.port and not parts.path.strip("/"):
            return parts.hostname, parts.port, None
    except ValueError:
        pass  # a port that is no number, or too great a one
    raise ValueError(f"{address!r}; write host:port, or unix:///path/to/socket")
