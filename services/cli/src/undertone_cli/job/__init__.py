"""Scoring whole files into a folder of Parquet parts that a second run can continue."""

from undertone_cli.job.failures import read_failures
from undertone_cli.job.folder import OutputFolder
from undertone_cli.job.manifest import Identity, Manifest
from undertone_cli.job.run import Run
from undertone_cli.job.selection import DeadLetters, Everything, Selection
from undertone_cli.job.survey import Survey, survey
from undertone_cli.job.tally import Tally

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
