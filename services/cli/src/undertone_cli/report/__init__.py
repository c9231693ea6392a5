"""The report on a folder of scores: one self-contained HTML page."""

from undertone_cli.report.html import write_report

__all__ = ["write_report"]
