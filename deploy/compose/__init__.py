"""Configuration of the services in compose.yaml, and the generator of its alerts.

`python -m deploy.compose` writes alerts.yaml.
"""
