"""Delivers a component's events to adapters. A failing adapter never affects the component."""

import logging
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar

from undertone_telemetry.metrics import Kind, Measurement, Metric, Notification

Event = TypeVar("Event", contravariant=True)

Signal = Measurement | Notification
"""A signal for adapters: a measurement or a notification."""

TELEMETRY_ERRORS: Final = Metric(
    "undertone_telemetry_errors_total",
    Kind.COUNTER,
    "Measurements, packets, spans and pushes that an adapter lost. The log explains the first loss of each.",
    ("adapter",),
)

CATALOGUE: Final = (TELEMETRY_ERRORS,)

log = logging.getLogger(__name__)


class Adapter(Protocol):
    """Delivers signals to one backend. Its methods run during calls and must not block."""

    @property
    def name(self) -> str:
        """One word, for the log and the label `adapter`."""

    def record(self, measurement: Measurement) -> None:
        """Records a measurement. An exception loses only this measurement."""

    def notify(self, notification: Notification) -> None:
        """Delivers a notification, if the backend has a place for it."""

    def close(self) -> None:
        """Sends what is still buffered. Nothing is recorded afterwards."""


class EventDispatcher(Generic[Event]):
    """A listener of events: converts each into signals and gives these to every adapter.

    An exception of a subscriber, of `measure` or of an adapter is logged once, counted in
    TELEMETRY_ERRORS, and suppressed. The other recipients still receive the event.
    """

    def __init__(
        self,
        measure: Callable[[Event], Iterable[Signal]],
        adapters: Sequence[Adapter],
        subscribers: Mapping[str, Callable[[Event], None]] = MappingProxyType({}),
    ) -> None:
        """
        Args:
            measure: Converts an event into signals. It is not called if there are no adapters.
            adapters: Receive the signals.
            subscribers: Receive the events, before the adapters. Keys are their names in the log
                and in the label `adapter`.
        """
        self._subscribers = tuple(subscribers.items())
        self._measure = measure
        self._adapters = tuple(adapters)
        self._failed: set[str] = set()

    def __call__(self, event: Event) -> None:
        for name, subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception as error:
                self._count_failure(name, error)
        if not self._adapters:
            return
        try:
            signals = tuple(self._measure(event))
        except Exception as error:
            self._count_failure("measure", error)
            return
        for adapter in self._adapters:
            for signal in signals:
                try:
                    if isinstance(signal, Notification):
                        adapter.notify(signal)
                    else:
                        adapter.record(signal)
                except Exception as error:
                    self._count_failure(adapter.name, error)

    def _count_failure(self, name: str, error: Exception) -> None:
        if name not in self._failed:
            self._failed.add(name)
            # The place, not the message: an exception's message might quote a paragraph.
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("telemetry: %s failed with %s; further failures are only counted\n%s", name, type(error).__name__, frames)
        count_errors(self._adapters, name)


def count_errors(adapters: Iterable[Adapter], name: str, count: int = 1) -> None:
    """Adds to TELEMETRY_ERRORS in every adapter. Raises nothing.

    Args:
        name: The value of the label `adapter`.
    """
    for adapter in adapters:
        with suppress(Exception):
            adapter.record(Measurement(TELEMETRY_ERRORS, count, (name,)))
