"""Undertone in Spark: `emotions()` and `predict()` for DataFrames, and the job that keeps a table of scores up to date."""

from undertone_batch.columns import OUTCOME
from undertone_batch.emotions import emotions
from undertone_batch.job import Job
from undertone_batch.order import Order
from undertone_batch.plan import RunMode
from undertone_batch.predict import predict
from undertone_batch.service import Service
from undertone_batch.source import Source
from undertone_batch.summary import Summary
from undertone_batch.table import read_scores
from undertone_batch.task_metrics import ExecutorMetrics, ExecutorMetricsParam, TaskMetrics

__all__ = [
    "OUTCOME",
    "ExecutorMetrics",
    "ExecutorMetricsParam",
    "Job",
    "Order",
    "RunMode",
    "Service",
    "Source",
    "Summary",
    "TaskMetrics",
    "emotions",
    "predict",
    "read_scores",
]
