"""Compares two services, such as two versions of a model, on the same paragraphs."""

from undertone_cli.service_comparison.figures import Comparison, ServiceFigures
from undertone_cli.service_comparison.markdown import markdown
from undertone_cli.service_comparison.run import ComparedServices, compare_services
from undertone_cli.service_comparison.terminal import show

__all__ = ["ComparedServices", "Comparison", "ServiceFigures", "compare_services", "markdown", "show"]
