"""Targets, settings and certificates of the client: which are refused, and mutual TLS."""

from pathlib import Path

import grpc
import pytest
from undertone_client import Client, Settings, SettingsError, Tls, UnavailableError
from undertone_client.testing import FakeClassifier

from tests.unit.support.faults import no_sleep


@pytest.mark.parametrize("target", ["", "no where", "http://localhost:50051", "https://undertone.example/"])
def test_invalid_targets_are_rejected(target: str) -> None:
    with pytest.raises(SettingsError, match="give"):
        Client(target)


@pytest.mark.parametrize(
    "invalid",
    [{"timeout_seconds": 0}, {"batch_items": 0}, {"deadline_seconds": 0}, {"lookahead_characters": 0}, {"lookahead_items": 4}],
)
def test_invalid_settings_are_rejected(invalid: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=next(iter(invalid))):
        Settings(**invalid)  # type: ignore[arg-type]


async def test_mutual_tls(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), cert.read_bytes())], root_certificates=cert.read_bytes(), require_client_auth=True
    )
    async with FakeClassifier(credentials=credentials) as service:
        async with Client(service.target, settings=Settings(tls=Tls(cert, cert, key))) as client:
            assert (await client.classify("text")).tokens == 3
        async with Client(service.target, settings=Settings(tls=Tls(cert)), sleep=no_sleep) as client:
            with pytest.raises(UnavailableError):
                await client.classify("text")


async def test_unreadable_certificates_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.pem cannot be read"):
        async with Client(settings=Settings(tls=Tls(ca_file=tmp_path / "absent.pem"))):
            pass
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match=r"text\.pem is not a PEM file"):
        async with Client(settings=Settings(tls=Tls(ca_file=tmp_path / "text.pem"))):
            pass
    with pytest.raises(SettingsError, match="both or neither"):
        Tls(cert_file=tmp_path / "cert.pem")
