"""A scoring run: from the inputs through the service into the run folder."""

from undertone_cli.scoring.run import RunOptions, ScoringRun, run_options

__all__ = ["RunOptions", "ScoringRun", "run_options"]
