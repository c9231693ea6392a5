"""One input: a file, an object or standard input; its form, and its bytes."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undertone_client.jobs import InputError

from undertone_cli.sources.address import Address
from undertone_cli.sources.options import Format

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """One input: as it was named, its form, and the document that its paragraphs belong to unless a column says otherwise."""

    name: str
    format: Format
    document: str

    @property
    def standard(self) -> bool:
        """Whether it is standard input."""
        return self.name == STANDARD_INPUT

    @property
    def repeatable(self) -> bool:
        """Whether it can be read more than once: a regular file or an object, no pipe."""
        return not self.standard and (Address.parse(self.name) is not None or Path(self.name).is_file())

    @property
    def shown(self) -> str:
        """Its name for people."""
        address = Address.parse(self.name)
        return "standard input" if self.standard else address.shown if address else self.name

    def stream(self) -> io.RawIOBase:
        """Its bytes, from the beginning.

        Raises:
            InputError: it cannot be opened.
        """
        if address := Address.parse(self.name):
            return address.stream()
        # Standard input has a stream of its own: the reader may be waiting for input when the process ends, and Python would
        # not let go of sys.stdin then.
        try:
            return io.FileIO(0, closefd=False) if self.standard else io.FileIO(self.name)
        except OSError as error:
            raise InputError(f"{self.shown} cannot be read: {error.strerror or error}") from None

    def file(self) -> Any:
        """What Arrow reads it from, anywhere in the file: a path or an Arrow file.

        Raises:
            InputError: it cannot be opened.
        """
        address = Address.parse(self.name)
        return address.file() if address else self.name
