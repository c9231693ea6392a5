"""Lines of an input that cannot be read: they end the command, or they are skipped."""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from undertone_client.jobs import InputError


class BadLinePolicy(enum.StrEnum):
    """What a line does that cannot be read."""

    FAIL = "fail"
    """It ends the command before anything is sent."""
    SKIP = "skip"
    """It is skipped, counted and listed in the run folder."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be read, or the first line of such a row or paragraph.

    Attributes:
        line: number of the line in the input, from 1.
        reason: why. It never contains text of the input.
        remedy: how to repair the input. A function, because it may have to guess an encoding.
    """

    line: int
    reason: str
    remedy: Callable[[], str] | None = None

    def error(self, name: str) -> InputError:
        """The error of a line of the input `name`."""
        remedy = f"; {self.remedy()}" if self.remedy is not None else ""
        return InputError(f"{name}, line {self.line}: {self.reason}{remedy}")


OnBadLine = Callable[[BadLine], None]
"""Receives each line that cannot be read. It raises InputError if the line is not to be skipped."""
