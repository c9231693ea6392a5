"""Errors of a job's inputs and outputs, and the exception of SIGTERM.

UndertoneError
├── InputError    an input cannot be read
└── OutputError   the output folder or table cannot be used
"""

from undertone_client.errors import UndertoneError


class InputError(UndertoneError):
    """An input cannot be read. The message names the file, the line and the remedy."""


class OutputError(UndertoneError):
    """The output folder or table cannot be used. The message names the cause and the remedy."""


class Terminated(SystemExit):
    """SIGTERM ended the job. A SystemExit, because asyncio and `except Exception` let it pass."""

    def __init__(self) -> None:
        super().__init__(143)
