"""Undertone in Spark: `emotions()` and `predict()` for DataFrames, and the job that keeps a table of scores up to date."""

from undertone_batch.columns import OUTCOME
from undertone_batch.effort import Effort, EffortsParam
from undertone_batch.emotions import emotions
from undertone_batch.predict import predict
from undertone_batch.service import Service

__all__ = ["OUTCOME", "Effort", "EffortsParam", "Service", "emotions", "predict"]
