import pytest
from undertone_bench.flops import operations
from undertone_protos.v1.contract_pb2 import Architecture


def test_operations_count_matrix_products_and_attention() -> None:
    bert = Architecture(layers=12, hidden_size=768, intermediate_size=3072)
    parameters = 12 * (4 * 768 * 768 + 2 * 768 * 3072)
    one = operations(bert, [128])
    # Two per weight and token, except in the last layer, where most tokens need 2 of 12 matrices.
    assert one == pytest.approx(2 * parameters * 128 * (11 + 2 / 12) / 12, rel=0.05)
    assert operations(bert, [128, 128]) == 2 * one
    assert operations(bert, [256]) > 2 * one  # attention is quadratic
