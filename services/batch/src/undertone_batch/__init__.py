"""Undertone in Spark: scores in DataFrames, and the job that keeps a table of scores up to date."""

from undertone_batch.config import JobConfig, RunMode, Service
from undertone_batch.dataframe import OUTCOME, emotions, predict
from undertone_batch.job import ScoringJob
from undertone_batch.source import Source
from undertone_batch.summary import ExecutorMetrics, ExecutorMetricsParam, Summary, TaskMetrics
from undertone_batch.tables import read_scores

__all__ = [
    "OUTCOME",
    "ExecutorMetrics",
    "ExecutorMetricsParam",
    "JobConfig",
    "RunMode",
    "ScoringJob",
    "Service",
    "Source",
    "Summary",
    "TaskMetrics",
    "emotions",
    "predict",
    "read_scores",
]
