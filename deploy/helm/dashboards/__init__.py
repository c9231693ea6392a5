"""Generates the dashboards of Grafana and Datadog from one description.

`python -m deploy.helm.dashboards` writes the files.
"""
