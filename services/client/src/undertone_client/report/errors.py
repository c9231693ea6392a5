"""What can be wrong with a folder that a report is asked for."""

import click

from undertone_client.errors import UndertoneError


class ReportError(UndertoneError, click.ClickException):
    """The scored folder cannot be shown; the message names the file, what is wrong with it and the remedy."""

    exit_code = 2
