"""Checks and builds a release: distributions, chart, workflows, version and changelog.

`python -m release --help` lists the commands. `make release-check` runs all of them except those
that publish; .github/workflows/release.yml runs them on a tag.
"""
