import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from undertone_sidecar.http import AllowedHosts, application, checked_hosts


def hosts(listening: str = "localhost", *names: str) -> AllowedHosts:
    found = AllowedHosts.of(listening, names)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "header",
    [
        *("localhost", "localhost:8080", "LOCALHOST", "localhost.", "notes.localhost:8080", ""),
        *("127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080", "10.0.0.7:8080", "[fe80::1]:8080"),
    ],
)
def test_local_names_and_addresses_are_allowed(header: str) -> None:
    assert hosts().allow(header)


@pytest.mark.parametrize(
    "header",
    [
        *("evil.example", "evil.example:8080", "localhost.evil.example", "evil-localhost", "127.0.0.1.evil.example"),
        *("localhost@evil.example", "evil.example,localhost", "1.2.3", "[evil.example]", "score.example.evil"),
    ],
)
def test_other_names_are_refused(header: str) -> None:
    assert not hosts("127.0.0.1", "score.example").allow(header)


def test_the_listening_name_and_the_list_are_allowed() -> None:
    allowed = hosts("scores.internal", "Score.example")
    assert all(map(allowed.allow, ("scores.internal:8080", "score.example", "SCORE.EXAMPLE.")))
    assert not allowed.allow("other.example")


@pytest.mark.parametrize("listening", ["0.0.0.0", "::", "10.0.0.7", "scores.internal"])  # noqa: S104 - not opened
def test_a_port_of_a_cluster_accepts_all_names_unless_it_has_a_list(listening: str) -> None:
    assert AllowedHosts.of(listening, ()) is None
    assert not hosts(listening, "score.example").allow("evil.example")


@pytest.mark.parametrize("listening", ["localhost", "127.0.0.1", "127.8.0.1", "::1"])
def test_a_loopback_port_is_checked_unless_all_names_are_accepted(listening: str) -> None:
    assert not hosts(listening).allow("evil.example")
    assert AllowedHosts.of(listening, ("*",)) is None


def test_a_refusal_has_the_name_and_the_remedy() -> None:
    app = checked_hosts(application([Route("/", lambda _: PlainTextResponse("page"))]), hosts())
    with TestClient(app) as client:
        assert client.get("/", headers={"host": "localhost:8080"}).text == "page"
        refused = client.get("/", headers={"host": "evil.example"})
    assert refused.status_code == 403
    assert refused.json()["message"].startswith("the header Host is 'evil.example': use localhost, or add the name to")
