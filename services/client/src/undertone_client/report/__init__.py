"""The report of a scored folder: one self-contained HTML page."""

from undertone_client.report.command import report
from undertone_client.report.writing import write_report

__all__ = ["report", "write_report"]
