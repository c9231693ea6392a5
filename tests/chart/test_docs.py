"""The pages about the chart: the values, examples and files that they name."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from undertone_bench.chart import Chart

from tests.chart.support.paths import CHART, ROOT

DOCUMENTS = tuple(ROOT / f"docs/how-to/{name}.md" for name in ("operations", "node-pools", "secure", "spark"))
VALUES: Mapping[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def exists(path: str) -> bool:
    if path.startswith("sidecar.settings."):
        schema = json.loads((CHART / "values.schema.json").read_text())
        return path.rpartition(".")[2] in schema["properties"]["sidecar"]["properties"]["settings"]["properties"]
    node: Any = VALUES
    for part in path.split("."):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_named_values_exist(document: Path) -> None:
    named = set(re.findall(rf"`((?:{'|'.join(VALUES)})(?:\.[A-Za-z-]+)+)", document.read_text()))
    assert named
    assert [path for path in sorted(named) if not exists(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_chart_accepts_the_examples(chart: Chart, document: Path) -> None:
    examples = [yaml.safe_load(example) for example in FENCE.findall(document.read_text())]
    ours = [example for example in examples if example.keys() <= VALUES.keys()]
    assert ours
    for values in ours:
        chart.render(values)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_linked_files_exist(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert link.startswith("https://") or (document.parent / link).exists()
