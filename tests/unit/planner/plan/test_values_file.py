from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from undertone_planner.errors import ValuesError
from undertone_planner.plan.values_file import Scalar, set_values

FILE = """\
# Values of the reading team.
autoscaling:
  # Nights are quiet.
  minReplicas: 1  # was 2
  behavior:
    scaleUp:
      policies:
        - {type: Percent, value: 100}   # fast

# The model.
modelServer:
  resources:
    requests: {cpu: 1750m, memory: 3584Mi}
  note: |
    Two lines
    of text.
"""


def test_values_change_where_they_stand_and_the_rest_stays() -> None:
    changed = set_values(FILE, {"autoscaling.minReplicas": 4, "modelServer.resources.requests.cpu": "3500m"})
    assert changed == FILE.replace("minReplicas: 1 ", "minReplicas: 4 ").replace("cpu: 1750m", "cpu: 3500m")


def test_new_values_follow_those_of_their_map() -> None:
    changed = set_values(
        FILE,
        {
            "autoscaling.maxReplicas": 40,
            "modelServer.resources.limits.cpu": "4",
            "modelServer.resources.requests.x": 1,
            "modelServer.threadsPerCore": 2,
            "batch.executors.instances": 3,
        },
    )
    assert "        - {type: Percent, value: 100}   # fast\n  maxReplicas: 40\n\n# The model.\n" in changed
    assert "    requests: {x: 1, cpu: 1750m, memory: 3584Mi}\n    limits:\n      cpu: '4'\n  note: |\n" in changed
    assert changed.endswith("    of text.\n  threadsPerCore: 2\nbatch:\n  executors:\n    instances: 3\n")


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("", "a:\n  b: 1\n"),
        ("# only a comment", "# only a comment\na:\n  b: 1\n"),
        ("a:", "a:\n  b: 1"),
        ("a: ~\nc: 2\n", "a:\n  b: 1\nc: 2\n"),
        ("a: {}\n", "a: {b: 1}\n"),
        ("a: {c: {d: 1}}\n", "a: {b: 1, c: {d: 1}}\n"),
        ("a:\n  b:\n", "a:\n  b: 1\n"),
        ("a:\n  c: 2", "a:\n  c: 2\n  b: 1\n"),
        ("{}", "{a: {b: 1}}"),
        ("a:\n    c: 2\n    # after\nd: 3\n", "a:\n    c: 2\n    b: 1\n    # after\nd: 3\n"),
    ],
)
def test_incomplete_files_get_the_value(text: str, after: str) -> None:
    assert set_values(text, {"a.b": 1}) == after


def test_a_second_time_changes_nothing() -> None:
    changes: dict[str, Scalar] = {"autoscaling.maxReplicas": 40, "sidecar.resources.requests.cpu": "250m"}
    once = set_values(FILE, changes)
    assert set_values(once, changes) == once


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x {b: 2}\nc: *x\n", "aliases"),
        ("- 1", "not a map"),
        ("a: [", "not YAML"),
        ("a: [1]\n", "where the chart has a map"),
    ],
)
def test_files_that_cannot_be_changed_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValuesError, match=message):
        set_values(text, {"a.b": 1})


KEYS = st.sampled_from(["a", "b", "c"])
SCALARS = st.one_of(st.integers(-5, 5), st.sampled_from(["2", "250m", "x: y", "# no", "", "true"]))
DOCUMENTS = st.dictionaries(KEYS, st.recursive(SCALARS, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6))


@given(DOCUMENTS, st.lists(KEYS, min_size=1, max_size=3), SCALARS, st.sampled_from([None, True, False]))
def test_only_the_value_changes(document: dict[str, Any], path: list[str], value: str | int, flow: bool | None) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow)
    inner: Any = document
    for part in path[:-1]:
        inner = inner.get(part, {}) if isinstance(inner, dict) else None
    expected = yaml.safe_load(text) or {}
    try:
        changed = set_values(text, {".".join(path): value})
    except ValuesError:
        assert not isinstance(inner, dict) or isinstance(inner.get(path[-1]), dict), "only a wrong type is refused"
        return
    target = expected
    for part in path[:-1]:
        target = target.setdefault(part, {})
    target[path[-1]] = value
    assert yaml.safe_load(changed) == expected
