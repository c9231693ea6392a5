import pytest
from undertone_client.errors import SettingsError
from undertone_client.settings import validate_target


@pytest.mark.parametrize("scheme", ["unix:", "unix://", "unix-abstract:"])
def test_a_socket_path_over_the_limit_of_the_system_is_refused(scheme: str) -> None:
    assert validate_target(f"{scheme}/{'s' * 106}")
    with pytest.raises(SettingsError, match="has 108 bytes; the limit is 107: use a shorter path"):
        validate_target(f"{scheme}/{'s' * 107}")
