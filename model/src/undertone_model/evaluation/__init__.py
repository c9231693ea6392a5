"""Evaluation of classifiers: scores with intervals, confidence, robustness and suites."""
