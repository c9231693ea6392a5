"""KEDA's ScaledObject: triggers by metrics, schedules, and scaling to zero.

KEDA passes its triggers to a HorizontalPodAutoscaler as external metrics, which scales between one
and many pods. KEDA itself scales between zero and the first pods: every polling interval it
activates the deployment if a trigger is active, and deactivates it when none was active for the
cooldown period. CPU triggers cannot activate.

Source: KEDA, "ScaledObject specification", "Scaling Deployments, StatefulSets & Custom Resources",
and the pages of the Prometheus and Cron scalers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from undertone_planner.fleet.autoscaler import Autoscaler


class MetricType(Enum):
    """How the autoscaler compares a metric with its threshold."""

    AVERAGE_VALUE = "AverageValue"
    """The metric divided by the number of pods."""
    VALUE = "Value"
    """The metric itself."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Scales by a metric, like the Prometheus scaler.

    metric: key of `Fleet.metrics`. A metric without a value keeps the number of pods.
    threshold: target of the metric.
    activation_threshold: the trigger is active while the metric exceeds it.
    """

    metric: str
    threshold: float
    metric_type: MetricType = MetricType.AVERAGE_VALUE
    activation_threshold: float = 0.0


JOB_PODS: Final = "job_pods"
"""The chart's query for the pods that jobs need (autoscaling.keda.jobs)."""
JOB_TRIGGER: Final = Trigger(JOB_PODS, threshold=1.0)
JOB_PATIENCE_SECONDS: Final = 1800.0
"""Time that a job waits for its first pod: the chart's batch.patienceSeconds."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A floor of `replicas` pods from `start_seconds` until `end_seconds`, like the Cron scaler."""

    start_seconds: float
    end_seconds: float
    replicas: int


@dataclass(frozen=True, slots=True)
class KedaSettings:
    """Settings of a ScaledObject, next to those of its autoscaler.

    min_replicas: number of pods without load. 0 scales to zero. It replaces the autoscaler's
        minimum, which is then at least 1.
    polling_seconds: interval between evaluations while there are no pods.
    cooldown_seconds: time without an active trigger after which the last pods are removed.
    """

    triggers: tuple[Trigger, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    min_replicas: int = 0
    polling_seconds: float = 30.0
    cooldown_seconds: float = 300.0


class Keda:
    """Evaluates the triggers."""

    def __init__(self, settings: KedaSettings) -> None:
        self.settings = settings
        self._last_active = -math.inf

    def proposals(
        self, now: float, autoscaler: Autoscaler, replicas: int, ready: int, metrics: Mapping[str, float]
    ) -> Sequence[int | None]:
        """Replicas by each trigger and schedule, for `Autoscaler.desired_replicas`."""
        found: list[int | None] = []
        for trigger in self.settings.triggers:
            value = metrics.get(trigger.metric)
            if value is None:
                found.append(None)
            elif trigger.metric_type is MetricType.VALUE:
                found.append(autoscaler.by_value(replicas, ready, value, trigger.threshold))
            else:
                found.append(autoscaler.by_average(replicas, value, trigger.threshold))
        # The Cron scaler's metric is the wanted number of pods, with the threshold 1, or 1 outside.
        found.extend(autoscaler.by_average(replicas, self._scheduled(now, schedule), 1) for schedule in self.settings.schedules)
        return found

    def activate(self, now: float, replicas: int, metrics: Mapping[str, float]) -> int:
        """The number of pods after KEDA's own part, from zero or to zero."""
        if self._is_active(now, metrics):
            self._last_active = now
            return replicas or max(1, self.settings.min_replicas)
        if replicas and not self.settings.min_replicas and now - self._last_active >= self.settings.cooldown_seconds:
            return 0
        return replicas

    def _is_active(self, now: float, metrics: Mapping[str, float]) -> bool:
        return any(
            metrics.get(trigger.metric, -math.inf) > trigger.activation_threshold for trigger in self.settings.triggers
        ) or any(schedule.start_seconds <= now < schedule.end_seconds for schedule in self.settings.schedules)

    @staticmethod
    def _scheduled(now: float, schedule: Schedule) -> int:
        return schedule.replicas if schedule.start_seconds <= now < schedule.end_seconds else 1
