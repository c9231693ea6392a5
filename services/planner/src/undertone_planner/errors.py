"""Errors of the planner.

PlannerError            a wrong input, such as a file or a setting
└── CalibrationError    a calibration file cannot be read, or has a wrong value
"""


class PlannerError(Exception):
    """A wrong input. The message names the value and the remedy."""


class CalibrationError(PlannerError):
    """A calibration file cannot be read, or has a wrong value."""
