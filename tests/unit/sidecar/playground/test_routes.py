"""The files of the playground: their headers, what they refer to, and that they fit the API."""

import re
from collections.abc import Mapping
from importlib.resources import files

import grpc
import pytest
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from undertone_protos.v1 import classifier_pb2, contract_pb2
from undertone_sidecar.playground import CONTENT_SECURITY_POLICY, playground_routes
from undertone_sidecar.request_limits import RequestLimits

ROUTES = {route.path: route for route in playground_routes()}
SOURCES = {file.name: file.read_text(encoding="utf-8") for file in (files("undertone_sidecar.playground") / "page").iterdir()}
SCRIPTS = "\n".join(text for name, text in SOURCES.items() if name.endswith(".js"))


async def get(route: Route, headers: Mapping[str, str] | None = None) -> Response:
    sent = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    response: Response = await route.endpoint(Request({"type": "http", "method": "GET", "headers": sent}))
    return response


def test_every_file_has_a_route() -> None:
    assert ROUTES.keys() == {"/" if name == "index.html" else f"/playground/{name}" for name in SOURCES}


@pytest.mark.parametrize("path", ROUTES)
async def test_files_have_a_type_and_strict_headers(path: str) -> None:
    response = await get(ROUTES[path])
    suffix = "html" if path == "/" else path.rpartition(".")[2]
    kinds = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert response.status_code == 200
    assert response.headers["content-type"].split(";")[0] == kinds[suffix]
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-cache"


def test_the_policy_allows_the_own_origin_only() -> None:
    policy = dict(part.split(" ", 1) for part in CONTENT_SECURITY_POLICY.split("; "))
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert set(policy.values()) == {"'none'", "'self'"}
    own = {name for name, source in policy.items() if source == "'self'"}
    assert own == {"script-src", "style-src", "img-src", "connect-src"}
    assert {"default-src", "base-uri", "form-action", "frame-ancestors", "trusted-types"} <= policy.keys()


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}'])
async def test_an_unchanged_file_is_not_sent_again(form: str) -> None:
    first = await get(ROUTES["/playground/main.js"])
    tag = first.headers["etag"]
    again = await get(ROUTES["/playground/main.js"], {"if-none-match": form.format(tag)})
    assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", tag)
    other = await get(ROUTES["/playground/api.js"], {"if-none-match": tag})
    assert other.status_code == 200


def test_no_file_names_another_host() -> None:
    addresses = {found for text in SOURCES.values() for found in re.findall(r"(?:https?:|wss?:)?//[\w.-]+[^\s\"']*", text)}
    comments = {found for found in addresses if found.startswith("//")}
    assert addresses - comments == {"http://www.w3.org/2000/svg"}, "the name of SVG's namespace, which is not loaded"
    assert not re.search(r"""["'(=]\s*//""", "\n".join(SOURCES.values())), "an address without a scheme"


def test_references_are_relative_and_exist() -> None:
    page = SOURCES["index.html"]
    references = {name for name in re.findall(r'(?:src|href)="([^"]+)"', page) if not name.startswith("#")}
    assert references
    assert {f"/{name}" for name in references} <= {*ROUTES, "/openapi.json"}
    imports = set(re.findall(r'from "\./([^"]+)"', SCRIPTS))
    assert imports
    assert imports <= SOURCES.keys()
    identifiers = set(re.findall(r'\$\("([\w-]+)"\)', SCRIPTS))
    assert identifiers <= set(re.findall(r'\bid="([\w-]+)"', page))


def test_text_never_becomes_markup_or_code() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML|parseFromString|srcdoc|\beval\b|new Function"
    assert not re.search(forbidden, SCRIPTS)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", SOURCES["index.html"])


def test_nothing_keeps_the_text() -> None:
    assert not re.search(r"localStorage|sessionStorage|indexedDB|document\.cookie|sendBeacon|history\.|caches\b", SCRIPTS)
    textarea = re.search(r"<textarea[^>]*>", SOURCES["index.html"])
    assert textarea
    assert 'spellcheck="false"' in textarea[0]


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (classifier_pb2.GetModelResponse, "contract limits"),
        (contract_pb2.ModelContract, "name version precision labels thresholds problemType maxTokens"),
        (classifier_pb2.Limits, "maxParagraphBytes maxParagraphCharacters maxBatchParagraphs maxBatchBytes"),
        (classifier_pb2.ClassifyBatchRequest, "paragraphs overlengthPolicy"),
        (classifier_pb2.Paragraph, "text"),
        (classifier_pb2.ClassifyBatchResponse, "results labels timings model problemType"),
        (classifier_pb2.ClassifyBatchResult, "classification error"),
        (classifier_pb2.Classification, "labelIndex probabilities tokens truncated chunks labelIndexesAboveThreshold"),
        (classifier_pb2.Timings, "tokenizeSeconds queueSeconds predictSeconds totalSeconds"),
        (classifier_pb2.ModelInfo, "name version precision"),
    ],
)
def test_the_script_reads_fields_of_the_api(message: type[Message], fields: str) -> None:
    known = {field.json_name for field in message.DESCRIPTOR.fields}
    for field in fields.split():
        assert field in known
        assert re.search(rf"\b{field}\b", SCRIPTS)


def test_enumerations_and_codes_are_those_of_the_api() -> None:
    named = set(re.findall(r"\b(?:OVERLENGTH_POLICY|PROBLEM_TYPE)_\w+", "\n".join(SOURCES.values())))
    policies = dict(classifier_pb2.OverlengthPolicy.items())
    assert named <= policies.keys() | set(contract_pb2.ProblemType.keys())
    chosen = {number for name, number in policies.items() if name in named}
    assert chosen == set(policies.values()) - {classifier_pb2.OVERLENGTH_POLICY_UNSPECIFIED}
    codes = re.search(r"const CODES = \[(.*?)\]", SCRIPTS, re.DOTALL)
    assert codes
    assert re.findall(r'"(\w+)"', codes[1]) == [code.name for code in sorted(grpc.StatusCode, key=lambda code: code.value[0])]


def test_stories_have_8_to_20_paragraphs_that_the_sidecar_accepts() -> None:
    stories = re.findall(r"text: `([^`]*)`", SOURCES["stories.js"])
    assert len(stories) == SOURCES["stories.js"].count("title:") >= 3
    limits = RequestLimits(paragraph_bytes=65536, paragraph_characters=20_000, batch_paragraphs=32, batch_bytes=2**20)
    for story in stories:
        paragraphs = story.split("\n\n")
        assert 8 <= len(paragraphs) <= 20
        for paragraph in paragraphs:
            limits.check_paragraph(paragraph, "")
