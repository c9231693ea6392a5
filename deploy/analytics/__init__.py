"""Generates SQL views and dashboards for the standard model's emotions.

`python -m deploy.analytics` writes the files.
"""
