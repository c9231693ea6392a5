"""Decides whether commands are sent to Redis: after failures, only once a trial has succeeded."""

from typing import Final

_LATE_COMMANDS: Final = 3
"""Consecutive late commands that open the circuit. A single one can have other reasons."""

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 30.0
_RECOVERY: Final = 0.9


class Circuit:
    """Opens after a failure or several late commands, and closes after a trial in time.

    It has no clock and no I/O. It is open at first.

    Attributes:
        is_open: Whether commands must not be sent.
        pause: Seconds until the next trial if the circuit is open. It doubles with each failed
            trial and with each opening, and shrinks while commands are answered in time. At first,
            and after several answers in time, it is 0: a connection may just have been idle.
    """

    def __init__(self) -> None:
        self.is_open = True
        self.pause = 0.0
        self._late = 0

    def failed(self) -> None:
        """A command failed."""
        if not self.is_open:
            self._open(2 * self.pause)

    def answered(self, *, in_time: bool) -> None:
        """A command had an answer."""
        if in_time:
            self._late = 0
            self.pause = self.pause * _RECOVERY if self.pause > _FIRST_PAUSE_SECONDS / 2 else 0.0
            return
        self._late += 1
        if self._late >= _LATE_COMMANDS and not self.is_open:
            self._open(max(_FIRST_PAUSE_SECONDS, 2 * self.pause))

    def tried(self, *, in_time: bool) -> None:
        """A trial ended."""
        self._late = 0
        if in_time:
            self.is_open = False
            # Redis may answer trials and refuse all other commands.
            self.pause = max(self.pause, _FIRST_PAUSE_SECONDS)
        else:
            self.pause = min(_LONGEST_PAUSE_SECONDS, max(_FIRST_PAUSE_SECONDS, 2 * self.pause))

    def _open(self, pause: float) -> None:
        self.is_open = True
        self.pause = min(_LONGEST_PAUSE_SECONDS, pause)
