"""The values in docs/how-to/fleet.md."""

import re
from typing import Any

import pytest
import yaml
from undertone_bench.chart import Chart

from tests.chart.support.paths import ROOT

PAGE = (ROOT / "docs/how-to/fleet.md").read_text()
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
COMMON = {name: EXAMPLES[0][name] for name in ("telemetry", "networkPolicy")}


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda values: ", ".join(values))
def test_the_chart_accepts_the_example(chart: Chart, values: dict[str, Any]) -> None:
    assert chart.render({**COMMON, **values}).of("Deployment")
