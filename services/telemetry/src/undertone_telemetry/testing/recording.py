"""An adapter for tests."""

from undertone_telemetry.metrics import Measurement, Notification


class RecordingAdapter:
    """Keeps what it receives, in order."""

    name = "recording"

    def __init__(self) -> None:
        self.measurements: list[Measurement] = []
        self.notifications: list[Notification] = []

    def record(self, measurement: Measurement) -> None:
        self.measurements.append(measurement)

    def notify(self, notification: Notification) -> None:
        self.notifications.append(notification)

    def close(self) -> None: ...

    def values(self, name: str) -> list[float]:
        """The values of all measurements of a metric."""
        return [measurement.value for measurement in self.measurements if measurement.metric.name == name]
