"""Creates the queries and the dashboard of redash/dashboard.json in a Redash server.

    REDASH_API_KEY=... python deploy/analytics/redash_import.py https://redash.example.com athena

The second argument is the name of the data source. Queries that an earlier import created are
updated. The script needs only Python.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

FILE = Path(__file__).with_name("redash") / "dashboard.json"


class Redash:
    """The REST API of a Redash server."""

    def __init__(self, url: str, key: str) -> None:
        if not url.startswith(("https://", "http://")):
            raise SystemExit(f"{url!r} is not the address of a Redash server: use https://HOST")
        self._url = url.rstrip("/")
        self._key = key

    def get(self, path: str, **parameters: str) -> Any:
        """The JSON of a resource."""
        return self._call("GET", f"{path}?{urlencode(parameters)}" if parameters else path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Creates or updates a resource."""
        return self._call("POST", path, json.dumps(body).encode())

    def _call(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {"Authorization": f"Key {self._key}", "Content-Type": "application/json"}
        request = Request(f"{self._url}/api/{path}", data=body, headers=headers, method=method)  # noqa: S310 - checked above
        try:
            with urlopen(request, timeout=60) as answer:  # noqa: S310
                return json.load(answer)
        except HTTPError as error:
            raise SystemExit(
                f"{method} {path}: Redash answered {error.code}: check REDASH_API_KEY and its permissions"
            ) from None
        except (URLError, TimeoutError) as error:
            raise SystemExit(f"{self._url} does not answer ({error}): check the address") from None


def import_dashboard(redash: Redash, document: Mapping[str, Any], data_source: str) -> str:
    """Imports the document. Returns the slug or the id of the dashboard."""
    sources = {source["name"]: source["id"] for source in redash.get("data_sources")}
    if data_source not in sources:
        raise SystemExit(f"Redash has no data source {data_source!r}: use one of {', '.join(sources) or '(there is none)'}")
    tag = document["tags"][0]
    present = {query["name"]: query for query in redash.get("queries", tags=tag, page_size="250")["results"]}
    dashboards = {each["name"]: each for each in redash.get("dashboards", tags=tag, page_size="250")["results"]}
    dashboard = dashboards.get(document["name"])
    new = dashboard is None
    if dashboard is None:
        dashboard = redash.post("dashboards", {"name": document["name"]})
    for item in document["queries"]:
        fields = {"name": item["name"], "description": item["description"], "query": item["query"], "tags": document["tags"]}
        fields |= {"data_source_id": sources[data_source], "is_draft": False, "options": {"parameters": []}, "schedule": None}
        old = present.get(item["name"])
        query = redash.post(f"queries/{old['id']}" if old else "queries", fields)
        if old and not new:
            continue  # its visualization and widget exist
        redash.post(f"queries/{query['id']}", {"is_draft": False})
        shape = redash.post("visualizations", {"query_id": query["id"], "description": "", **item["visualization"]})
        widget = {"dashboard_id": dashboard["id"], "visualization_id": shape["id"], "text": "", "width": 1}
        redash.post("widgets", {**widget, "options": {"position": item["position"], "isHidden": False}})
    redash.post(f"dashboards/{dashboard['id']}", {"name": document["name"], "is_draft": False, "tags": document["tags"]})
    return str(dashboard.get("slug") or dashboard["id"])


def main(arguments: list[str]) -> None:
    """Imports the dashboard, and prints where it is."""
    if len(arguments) != 2:
        raise SystemExit("usage: redash_import.py URL DATA_SOURCE")
    key = os.environ.get("REDASH_API_KEY")
    if not key:
        raise SystemExit("REDASH_API_KEY is not set: copy the API key from your profile in Redash")
    redash = Redash(arguments[0], key)
    print(f"imported as {import_dashboard(redash, json.loads(FILE.read_text(encoding='utf-8')), arguments[1])}")


if __name__ == "__main__":
    main(sys.argv[1:])
