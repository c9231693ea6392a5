"""The table of families, and the counts of operations in it."""

from types import SimpleNamespace
from typing import Any

from undertone_bench.commands.families import table
from undertone_bench.family_graphs import GraphFacts
from undertone_bench.models import FAMILY_MODELS, RANDOM_MODELS
from undertone_model.sources import ARCHITECTURES


def node(operation: str, *, fused: bool = False) -> Any:
    return SimpleNamespace(op=operation, attr={"fused_ops": "BiasAdd"} if fused else {})


def test_random_models_are_those_of_the_exporter() -> None:
    assert set(RANDOM_MODELS) == set(ARCHITECTURES)
    assert len({ARCHITECTURES[name].family for name in FAMILY_MODELS}) == len(FAMILY_MODELS)


def test_fused_and_other_products_are_counted() -> None:
    nodes = [
        *(node("_MklNativeFusedMatMul", fused=True) for _ in range(3)),
        node("_MklFusedBatchMatMulV2", fused=True),
        node("_MklBatchMatMulV2"),
        node("MatMul"),
        *(node("_MklLayerNorm") for _ in range(2)),
        node("AddV2"),
    ]
    assert GraphFacts.of(12, 85, nodes) == GraphFacts(12, 85, linear=3, attention=1, norms=2, unfused=2)


def test_rows_are_relative_to_the_first_model() -> None:
    facts = {"bert-base": GraphFacts(12, 85_000_000, 74, 12, 25, 12), "other": GraphFacts(6, 42_500_000, 38, 6, 13, 6)}
    shape = (8, 128)
    times = {(0, shape): [[0.4, 0.5], [0.8, 0.9]], (1, shape): [[0.2, 0.3], [0.4, 0.5]]}
    found = table(facts, [shape], times)
    assert found.rows[0][3:6] == ("400, 650", "15.0 (10.0 to 20.0)", "1.00")
    assert found.rows[1] == ("other", "6", "42 M", "200, 350", "30.0 (20.0 to 40.0)", "2.00", "38, 6, 13", "6")
    assert len(found.header) == len(found.rows[0])
