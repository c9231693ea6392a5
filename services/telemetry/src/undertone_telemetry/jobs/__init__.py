"""Jobs, seen from outside: that they began, how far they are, and how they ended."""

from undertone_telemetry.jobs.events import CATALOGUE, JobFailed, JobMeasure, JobProgressed, JobStarted, JobSucceeded
from undertone_telemetry.jobs.observer import JobObserver
from undertone_telemetry.jobs.recurrence import Recurrence

__all__ = [
    "CATALOGUE",
    "JobFailed",
    "JobMeasure",
    "JobObserver",
    "JobProgressed",
    "JobStarted",
    "JobSucceeded",
    "Recurrence",
]
