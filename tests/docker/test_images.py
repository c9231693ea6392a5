"""The built images: their contents, and a pod of two containers that share a socket on a volume."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.docker.engine import RESTRICTED, Container, build, docker, inspect, unreachable, volume
from tests.docker.test_dockerfiles import IMAGES

SIDECAR_MEGABYTES = 150
"""The maximum size of the sidecar's image without its base image."""

BASE = "python:3.11-slim"
FORBIDDEN = "gcc cc g++ clang make uv"


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    if reason := unreachable():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """Builds all images. Returns their names."""
    return {image: build(image) for image in IMAGES}


@dataclass(frozen=True, slots=True)
class Pod:
    """The containers of a pod."""

    sidecar: Container
    model_server: Container


@pytest.fixture(scope="module")
def pod(images: dict[str, str]) -> Iterator[Pod]:
    """A ready pod."""
    with contextlib.ExitStack() as stack:
        models, run = stack.enter_context(volume()), stack.enter_context(volume())
        copy = ("sh", "-c", "mkdir -p /copy/emotions && cp -r /models/emotions/1 /copy/emotions/")
        docker("run", "--rm", *RESTRICTED, f"--volume={models}:/copy", images["model"], *copy)
        mounts = (f"--volume={models}:/models:ro", f"--volume={run}:/run/undertone")
        server = Container(
            *mounts,
            "--tmpfs=/tmp",
            images["dev-server"],
            "--model_name=emotions",
            "--model_base_path=/models/emotions",
            "--grpc_socket_path=/run/undertone/model.sock",
        )
        stack.callback(server.remove)
        sidecar = Container(
            *mounts, images["sidecar"], "--model-dir=/models/emotions", "--model-server=unix:///run/undertone/model.sock"
        )
        stack.callback(sidecar.remove)
        sidecar.until(lambda: "ready model=emotions" in sidecar.log, "the sidecar is ready")
        yield Pod(sidecar, server)


@pytest.fixture(params=IMAGES)
def image(request: pytest.FixtureRequest, images: dict[str, str]) -> str:
    return images[request.param]


def test_has_a_user_and_no_health_check(image: str) -> None:
    settings = inspect(image)["Config"]
    assert settings["User"] == "65532:65532"
    assert "Healthcheck" not in settings
    assert settings["Labels"]["org.opencontainers.image.title"] == image.replace("/", "-").removesuffix(":test")


def test_has_no_compilers_or_caches(image: str) -> None:
    script = f"""
        for program in {FORBIDDEN}; do command -v $program; done
        find / -xdev \\( -path '*/.cache/*' -o -path '/var/lib/apt/lists/*Packages*' -o -path /source -o -path /opt/uv \\)
    """
    assert docker("run", "--rm", "--user=0", "--entrypoint=sh", image, "-c", script) == ""


def test_installed_files_are_not_writable(image: str) -> None:
    script = "for path in /opt/undertone /models; do if [ -e $path ]; then find $path ! -type l -writable; fi; done"
    assert docker("run", "--rm", "--entrypoint=sh", image, "-c", script) == ""


def test_sidecar_image_is_small(images: dict[str, str]) -> None:
    added = inspect(images["sidecar"])["Size"] - inspect(BASE)["Size"]
    assert added <= SIDECAR_MEGABYTES * 1_000_000


def test_pod_scores_a_paragraph(pod: Pod, images: dict[str, str]) -> None:
    arguments = ("--tmpfs=/tmp", images["batch"], "undertone", "classify", "--json", "At last, home!")
    score = json.loads(docker("run", "--rm", *RESTRICTED, pod.sidecar.network, *arguments))
    assert sum(score["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_spark_job_scores_a_table(pod: Pod, images: dict[str, str]) -> None:
    rows = "".join(json.dumps({"id": n, "text": f"After {n} years she was home at last."}) + "\n" for n in range(40))
    command = """
        cat > /tmp/rows.json
        undertone-batch run --mode backfill --source /tmp/rows.json --format json --table /tmp/scores \\
            --buckets 2 --summary /tmp/run.json >&2
        cat /tmp/run.json
    """
    # Executable like the emptyDir of a pod, because Java unpacks native libraries to /tmp.
    arguments = ("--interactive", "--tmpfs=/tmp:exec", pod.sidecar.network, images["batch"], "bash", "-ec", command)
    summary = docker("run", "--rm", *RESTRICTED, *arguments, stdin=rows)
    assert json.loads(summary)["scored"] == 40


def test_spark_submit_starts(images: dict[str, str]) -> None:
    assert "version 4." in docker("run", "--rm", *RESTRICTED, images["batch"], "bash", "-c", "spark-submit --version 2>&1")


# Must be the last test, because it stops the pod.
def test_pod_stops_on_sigterm(pod: Pod) -> None:
    assert (pod.sidecar.stop(), pod.model_server.stop()) == (0, 0)
