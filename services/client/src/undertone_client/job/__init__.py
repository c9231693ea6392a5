"""Scoring whole files into a folder of Parquet parts that a second run can continue."""

from undertone_client.job.failures import read_failures
from undertone_client.job.folder import OutputFolder
from undertone_client.job.manifest import Identity, Manifest
from undertone_client.job.run import Run
from undertone_client.job.selection import DeadLetters, Everything, Selection
from undertone_client.job.survey import Survey, survey
from undertone_client.job.tally import Tally

__all__ = [
    "DeadLetters",
    "Everything",
    "Identity",
    "Manifest",
    "OutputFolder",
    "Run",
    "Selection",
    "Survey",
    "Tally",
    "read_failures",
    "survey",
]
