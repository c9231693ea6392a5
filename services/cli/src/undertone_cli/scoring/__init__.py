"""A scoring run: from the inputs through the service into the run folder."""

from undertone_cli.scoring.json_output import write_event
from undertone_cli.scoring.options import RunOptions, run_options
from undertone_cli.scoring.run import ScoringRun

__all__ = ["RunOptions", "ScoringRun", "run_options", "write_event"]
