"""A real API server of Kubernetes with etcd, without nodes."""

import http.client
import json
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from undertone_bench.chart import Manifest

from tests.chart.support.paths import ROOT

ADMINISTRATOR: Final = "administrator"
START_SECONDS: Final = 120.0
_PLURALS: Final = {"NetworkPolicy": "networkpolicies"}


class ApiError(Exception):
    """The API server refused a request.

    Attributes:
        code: The HTTP status.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A client of the API server with a token.

    Attributes:
        address: The host and port of the server.
        certificate: The file of its certificate.
        token: The bearer token.
    """

    address: str
    certificate: Path
    token: str = ADMINISTRATOR

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, kind: str = "application/json"
    ) -> tuple[Any, list[str]]:
        """Sends a request. Returns the answer and the server's warnings. Raises ApiError."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        connection = http.client.HTTPSConnection(self.address, context=context, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        try:
            connection.request(method, f"/{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read().decode()
            if answer.status >= http.HTTPStatus.BAD_REQUEST:
                raise ApiError(answer.status, content)
            return json.loads(content), answer.headers.get_all("Warning") or []
        finally:
            connection.close()

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> tuple[Any, list[str]]:
        """Creates an object; unknown fields are errors. Raises ApiError."""
        query = "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        return self.call("POST", collection(manifest) + query, manifest)

    def pods(self, namespace: str) -> list[Any]:
        answer, _ = self.call("GET", f"api/v1/namespaces/{namespace}/pods")
        return list(answer["items"])

    def token_of(self, namespace: str, account: str) -> str:
        """A new token of a service account."""
        path = f"api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        answer, _ = self.call("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
        return str(answer["status"]["token"])


def collection(manifest: Manifest) -> str:
    """The path of the objects of a manifest's kind in its namespace."""
    version, kind = manifest["apiVersion"], manifest["kind"]
    group = f"apis/{version}" if "/" in version else f"api/{version}"
    namespace = manifest["metadata"].get("namespace")
    return f"{group}/{f'namespaces/{namespace}/' if namespace else ''}{_PLURALS.get(kind, kind.lower() + 's')}"


def find_program(name: str) -> Path | None:
    """A program on the PATH or in build/kubernetes, where .ci/kubernetes puts it."""
    found = shutil.which(name) or shutil.which(name, path=str(ROOT / "build/kubernetes"))
    return Path(found) if found else None


@contextmanager
def running_api_server(folder: Path, etcd: Path, server: Path, ports: tuple[int, int, int]) -> Iterator[ApiServer]:
    """Runs etcd and the API server, with role-based access control and the default admission."""
    client, peer, secure = ports
    key = folder / "accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{ADMINISTRATOR},{ADMINISTRATOR},1,"system:masters"\n')
    store = [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
        "--log-level=error",
    ]
    options = [
        f"--etcd-servers=http://127.0.0.1:{client}",
        f"--secure-port={secure}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={tokens}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=RBAC",
        "--audit-policy-file=" + str(_audit_policy(folder)),
        f"--audit-log-path={folder / 'audit.log'}",
    ]
    with (folder / "log").open("wb") as log:
        processes = [subprocess.Popen([etcd, *store], stdout=log, stderr=log, cwd=folder)]
        try:
            processes.append(subprocess.Popen([server, *options], stdout=log, stderr=log, cwd=folder))
            api = ApiServer(f"127.0.0.1:{secure}", folder / "certificates/apiserver.crt")
            _wait(api, processes, folder / "log")
            yield api
        finally:
            # SIGTERM would wait a minute for open watches. The data are of no use afterwards.
            for process in processes:
                process.kill()
                process.wait(timeout=60)


def _audit_policy(folder: Path) -> Path:
    path = folder / "audit.yaml"
    path.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}))
    return path


def _wait(api: ApiServer, processes: list["subprocess.Popen[bytes]"], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        assert all(process.poll() is None for process in processes), log.read_text()
        try:
            # The namespace exists when the server has initialised its own objects.
            api.call("GET", "api/v1/namespaces/default")
        except (ApiError, OSError):
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        else:
            return
