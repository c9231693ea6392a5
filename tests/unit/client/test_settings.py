import pytest
from undertone_client.errors import SettingsError
from undertone_client.settings import Settings, validate_target


@pytest.mark.parametrize("target", ["localhost", "dns:///undertone.example", "10.0.0.1", "[::1]", "ipv4:10.0.0.1", "host:"])
def test_a_target_without_port_is_refused(target: str) -> None:
    # gRPC would silently use port 443.
    with pytest.raises(SettingsError, match=r"has no port: add it, such as .*[^:]:50051$"):
        validate_target(target)


def test_an_address_of_ipv6_needs_brackets() -> None:
    with pytest.raises(SettingsError, match=r"in brackets, such as \[::1\]:50051"):
        validate_target("::1")


def test_tls_is_not_a_boolean() -> None:
    with pytest.raises(SettingsError, match=r"tls is True; use Tls\(\) for TLS, or None for plaintext"):
        Settings(tls=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "target",
    ["a:1", "dns:a:1", "dns:///a:1", "dns://8.8.8.8/a:1", "[::1]:1", "ipv6:[::1]:1", "ipv4:1.2.3.4:1,1.2.3.5:2", "xds:///a"],
)
def test_a_target_with_a_port_or_a_resolver_of_ports_is_valid(target: str) -> None:
    assert validate_target(target) == target


@pytest.mark.parametrize("scheme", ["unix:", "unix://", "unix-abstract:"])
def test_a_socket_path_over_the_limit_of_the_system_is_refused(scheme: str) -> None:
    assert validate_target(f"{scheme}/{'s' * 106}")
    with pytest.raises(SettingsError, match="has 108 bytes; the limit is 107: use a shorter path"):
        validate_target(f"{scheme}/{'s' * 107}")
