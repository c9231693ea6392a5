"""Undertone in Spark: `emotions()` and `predict()` for DataFrames, and the job that keeps a table of scores up to date."""

from undertone_batch.columns import OUTCOME
from undertone_batch.effort import Effort, Efforts, EffortsParam
from undertone_batch.emotions import emotions
from undertone_batch.job import Job
from undertone_batch.order import Order
from undertone_batch.plan import RunMode
from undertone_batch.predict import predict
from undertone_batch.service import Service
from undertone_batch.source import Source
from undertone_batch.summary import Summary
from undertone_batch.table import read_scores

__all__ = [
    "OUTCOME",
    "Effort",
    "Efforts",
    "EffortsParam",
    "Job",
    "Order",
    "RunMode",
    "Service",
    "Source",
    "Summary",
    "emotions",
    "predict",
    "read_scores",
]
