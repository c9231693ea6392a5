from dataclasses import replace
from pathlib import Path

import pytest
from undertone_planner.errors import CalibrationError, NodeTypesError
from undertone_planner.plan.named_calibration import NamedCalibration, packaged_names
from undertone_planner.plan.node_types import PACKAGED_TABLE, NodeTypes

from tests.unit.planner.support.plans import NODE

TABLE = PACKAGED_TABLE.read_text(encoding="utf-8")


def test_the_packaged_table_says_where_its_prices_come_from() -> None:
    types = NodeTypes.read()
    assert (types.currency, types.region) == ("USD", "AWS us-east-1 (N. Virginia)")
    assert types.date
    assert "list prices" in types.source
    for node in types.types.values():
        assert node.description
        assert 0.3 < node.spot / node.on_demand < 0.6
        assert node.amx == (node.bf16 == 4)


def test_an_edited_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "types.toml"
    path.write_text(TABLE.replace("on_demand = 0.714", "on_demand = 0.5").replace("c7i.4xlarge", "mine"))
    assert NodeTypes.read(path).find("mine").price(spot=False) == 0.5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("on_demand = 0.714", "", "c7i.4xlarge.on_demand is missing"),
        ("on_demand = 0.714", "on_demand = -1", "c7i.4xlarge.on_demand is -1"),
        ("on_demand = 0.714", 'on_demand = "1"', "a number is expected"),
        ("amx = true", "amx = true\ngpu = 1", "c7i.4xlarge.gpu is unknown"),
        ("cores = 16", "cores = 32", "c7a.4xlarge has 32 cores and 16 vcpus"),
        ("boot_seconds", "boots", "boots is unknown"),
        ('region = "', 'place = "', "the key region is missing"),
        ("[defaults]", "[defaults", "is not TOML"),
    ],
)
def test_a_wrong_table_names_the_file_and_the_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "types.toml"
    path.write_text(TABLE.replace(old, new))
    with pytest.raises(NodeTypesError, match=message) as found:
        NodeTypes.read(path)
    assert str(path) in str(found.value)


def test_an_unknown_node_type_is_suggested() -> None:
    with pytest.raises(NodeTypesError, match=r"Did you mean 'c7i\.4xlarge'"):
        NodeTypes.read().find("c7i.4xlrge")


def test_speed_depends_on_the_precision() -> None:
    node = replace(NODE, speed=1.5, bf16=4.0)
    assert (node.core_speed("fp32"), node.core_speed("bf16"), NODE.core_speed("bf16")) == (1.5, 6.0, 0.0)
    assert (NODE.threads_per_core, replace(NODE, cores=8).threads_per_core) == (1, 2)


@pytest.mark.parametrize("name", packaged_names())
def test_packaged_calibrations_are_valid_and_name_their_machine_and_date(name: str) -> None:
    found = NamedCalibration.find(name)
    assert found.calibration.tokens_per_second > 0
    assert found.origin.count(";") >= 2
    precision = found.calibration.precision
    if found.measured_on is None:
        assert precision == "fp32", "the reference of the table is in fp32"
    else:
        assert NodeTypes.read().find(found.measured_on).core_speed(precision) > 0


def test_files_are_calibrations_without_a_node_type(tmp_path: Path) -> None:
    path = tmp_path / "pod.json"
    NamedCalibration.find("emotions").calibration.write(path)
    assert NamedCalibration.find(str(path)).measured_on is None
    with pytest.raises(CalibrationError, match="Did you mean 'emotions'"):
        NamedCalibration.find("emotion")
