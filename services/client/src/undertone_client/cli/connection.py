"""The options that every command with a connection has, and the settings made of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from undertone_client.errors import SettingsError
from undertone_client.settings import DEFAULT_TARGET, Settings, Tls

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def connection_options(command: F) -> F:
    """Adds `target`, `timeout`, `tls`, `ca_file`, `cert` and `key` to a command's arguments."""
    options = (
        click.option(
            "--target", envvar="UNDERTONE_TARGET", default=DEFAULT_TARGET, show_default=True, help="Address of the service."
        ),
        click.option(
            "--timeout",
            envvar="UNDERTONE_TIMEOUT",
            type=click.FloatRange(min=0, min_open=True),
            default=Settings().timeout_seconds,
            show_default=True,
            metavar="SECONDS",
            help="Deadline of one attempt of a call.",
        ),
        click.option("--tls", envvar="UNDERTONE_TLS", is_flag=True, help="Speak TLS; the system's roots are trusted."),
        click.option("--ca-file", envvar="UNDERTONE_CA_FILE", type=FILE, help="Trust these roots instead (PEM; with --tls)."),
        click.option("--cert", envvar="UNDERTONE_CERT", type=FILE, help="Own certificate (PEM; with --tls and --key)."),
        click.option("--key", envvar="UNDERTONE_KEY", type=FILE, help="Own key (PEM; with --tls and --cert)."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Connection:
    """The values of the options."""

    timeout: float
    tls: bool
    ca_file: Path | None
    cert: Path | None
    key: Path | None

    def settings(self, **others: Any) -> Settings:
        """Settings of a client with this connection; `others` are further fields of `Settings`.

        Raises:
            SettingsError: the options do not go together.
        """
        tls = None
        if self.tls:
            tls = Tls(self.ca_file, self.cert, self.key)
        elif self.ca_file or self.cert or self.key:
            raise SettingsError("--ca-file, --cert and --key say how to speak TLS; add --tls")
        return Settings(timeout_seconds=self.timeout, tls=tls, **others)
