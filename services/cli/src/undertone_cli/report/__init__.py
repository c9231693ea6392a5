"""The report of a scored folder: one self-contained HTML page."""

from undertone_cli.report.command import report
from undertone_cli.report.writing import write_report

__all__ = ["report", "write_report"]
