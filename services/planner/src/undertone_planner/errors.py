"""Errors of the planner.

PlannerError            a wrong input, such as a file or a setting
├── CalibrationError    a calibration file cannot be read, or has a wrong value
├── LengthsError        a histogram or texts cannot be read
├── NodeTypesError      a table of node types cannot be read, or lacks a node type
└── ValuesError         a values file cannot be read or changed, or has a wrong value
"""


class PlannerError(Exception):
    """A wrong input. The message names the value and the remedy."""


class CalibrationError(PlannerError):
    """A calibration file cannot be read, or has a wrong value."""


class LengthsError(PlannerError):
    """A histogram or texts cannot be read."""


class NodeTypesError(PlannerError):
    """A table of node types cannot be read, or lacks a node type."""


class ValuesError(PlannerError):
    """A values file cannot be read or changed, or has a wrong value."""
