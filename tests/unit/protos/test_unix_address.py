import socket
import tempfile
from pathlib import Path

import pytest
from undertone_protos.unix_address import MAX_PATH_BYTES, unix_address_problem


@pytest.mark.parametrize("target", ["localhost:50051", "dns:///undertone:443", "unix:/run/model.sock", "unix:model.sock"])
def test_usable_addresses_have_no_problem(target: str) -> None:
    assert unix_address_problem(target) is None


@pytest.mark.parametrize("scheme", ["unix:", "unix://", "unix-abstract:"])
def test_a_path_over_the_limit_is_named_with_its_length(scheme: str) -> None:
    assert unix_address_problem(f"{scheme}/{'s' * (MAX_PATH_BYTES - 1)}") is None
    problem = unix_address_problem(f"{scheme}/{'s' * MAX_PATH_BYTES}")
    assert problem is not None
    assert f"'/{'s' * MAX_PATH_BYTES}'" in problem
    assert "108 bytes; the limit is 107: use a shorter path" in problem


def test_bytes_count_and_not_characters() -> None:
    assert unix_address_problem(f"unix:///{'é' * 53}") is None
    assert unix_address_problem(f"unix:///{'é' * 54}") is not None
    assert unix_address_problem(f"unix:///{'%C3%A9' * 53}") is None


def test_an_address_without_a_path_is_a_problem() -> None:
    assert "has no path" in (unix_address_problem("unix://") or "")


def test_the_limit_is_that_of_the_operating_system() -> None:
    with tempfile.TemporaryDirectory(prefix="u-") as folder:
        longest = Path(folder, "s" * (MAX_PATH_BYTES - len(folder) - 1))
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(longest))
        with socket.socket(socket.AF_UNIX) as refused, pytest.raises(OSError, match="too long"):
            refused.bind(f"{longest}s")
