"""Writes the dashboards of Grafana and DataDog.

`python -m deploy.helm.dashboards` writes; with --check it only compares, and ends with 1 where one is out of date.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .callers import CLIENTS, JOBS
from .datadog import datadog
from .grafana import grafana
from .neighbours import ENVOY, KUBERNETES, TF_SERVING
from .service import BATCHES, CALLS, LANES, MODEL

TITLE = "Undertone"
ABOUT = "The emotions of paragraphs, served: callers, queue, batches, model, clients and jobs. Made by deploy/helm/dashboards."
SECTIONS = (CALLS, LANES, BATCHES, MODEL, CLIENTS, JOBS, ENVOY, TF_SERVING, KUBERNETES)

_DEPLOY = Path(__file__).parents[2]


def rendered() -> dict[Path, str]:
    """The files and what is to be in them."""
    return {
        _DEPLOY / "helm/undertone/files/dashboards/undertone.json": grafana(TITLE, ABOUT, SECTIONS),
        _DEPLOY / "datadog/undertone.json": datadog(TITLE, ABOUT, SECTIONS),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Writes the dashboards of Grafana and DataDog.")
    parser.add_argument("--check", action="store_true", help="compare only; exit code 1 where one is out of date")
    check = parser.parse_args(arguments).check
    outdated = [path for path, text in rendered().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if check:
        for path in outdated:
            print(f"{path} is out of date; run python -m deploy.helm.dashboards", file=sys.stderr)
        return 1 if outdated else 0
    for path in outdated:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
