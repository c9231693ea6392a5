"""From a component's events to every adapter, none of which can harm the component."""

import logging
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar

from undertone_telemetry.metric import Kind, Measurement, Metric
from undertone_telemetry.notice import Notice

Event = TypeVar("Event", contravariant=True)

Signal = Measurement | Notice
"""What adapters take."""

ERRORS: Final = Metric(
    "undertone_telemetry_errors_total",
    Kind.COUNTER,
    "Measurements that an adapter failed to take, packets and spans that it failed to send; the log says once for each why.",
    ("adapter",),
)

CATALOGUE: Final = (ERRORS,)

log = logging.getLogger(__name__)


class Adapter(Protocol):
    """Takes measurements and notices to where they are read. Called in the middle of calls, it must wait for nothing."""

    @property
    def name(self) -> str:
        """A word, for the log and the label `adapter`."""

    def record(self, measurement: Measurement) -> None:
        """Counts, sets or observes. May raise, which costs nothing but this measurement."""

    def tell(self, notice: Notice) -> None:
        """Passes it on, where the other side has a place for it."""

    def close(self) -> None:
        """Sends what was not sent yet, and ends. Nothing is recorded afterwards."""


class Listeners(Generic[Event]):
    """The listener of a component's events: asks `measure` what they mean, and tells each adapter.

    `followers` hear the events themselves, before that. What any of them raises is counted (ERRORS) by its name, logged once,
    and forgotten; the others hear of everything.
    """

    def __init__(
        self,
        measure: Callable[[Event], Iterable[Signal]],
        adapters: Sequence[Adapter],
        followers: Mapping[str, Callable[[Event], None]] = MappingProxyType({}),
    ) -> None:
        self._followers = tuple(followers.items())
        self._measure = measure
        self._adapters = tuple(adapters)
        self._failed: set[str] = set()

    def __call__(self, event: Event) -> None:
        for name, follow in self._followers:
            try:
                follow(event)
            except Exception as error:
                self._fail(name, error)
        if not self._adapters:
            return
        try:
            signals = tuple(self._measure(event))
        except Exception as error:
            self._fail("measure", error)
            return
        for adapter in self._adapters:
            for signal in signals:
                try:
                    if isinstance(signal, Notice):
                        adapter.tell(signal)
                    else:
                        adapter.record(signal)
                except Exception as error:
                    self._fail(adapter.name, error)

    def _fail(self, name: str, error: Exception) -> None:
        if name not in self._failed:
            self._failed.add(name)
            # Where it happened, not what it said: a foreign message might quote anything.
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("telemetry: %s failed with %s; this is said once, and counted\n%s", name, type(error).__name__, frames)
        for adapter in self._adapters:
            with suppress(Exception):
                adapter.record(Measurement(ERRORS, 1, (name,)))
