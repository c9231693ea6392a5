"""Uses the playground in a browser, and prints what it shows as JSON.

Usage: playground_steps.py URL BROWSER. It runs in build/browser.
"""

import json
import os
import random
import sys
import time
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

STORY = "The last ferry"
CALL = "**/v1/paragraphs:classifyBatch"
MARKUP = "<img src=x onerror=alert(1)> <b>bold</b> & \"quoted\" 'text'"


class Visit:
    """A page in a context of its own, and what its browser reported."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.page: Page = browser.new_context(**context).new_page()
        self.messages: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append((request.method, request.url)))
        self.page.goto(url)
        expect(self.page.locator("#model")).to_contain_text("Precision")

    def score(self, text: str) -> None:
        self.page.locator("#text").fill(text)
        self.page.locator("#text").press("Control+Enter")

    def done(self) -> str:
        status = self.page.locator("#status")
        expect(status).to_contain_text("scored in")
        return str(status.inner_text())

    def violations(self) -> list[str]:
        response = Axe().run(self.page).response
        assert response["passes"], "axe has checked nothing"
        return [f"{rule['id']}: {node['html'][:200]}" for rule in response["violations"] for node in rule["nodes"]]


def appearance(browser: Browser, url: str, width: int, scheme: str) -> dict[str, Any]:
    visit = Visit(browser, url, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = visit.page
    visit.page.get_by_role("button", name=STORY).click()
    visit.done()
    return {
        "violations": visit.violations(),
        "overflow": page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"),
        "paper": page.evaluate("getComputedStyle(document.body).backgroundColor"),
        "messages": visit.messages,
        "requests": visit.requests,
        "paragraphs": page.locator("#paragraphs > li").count(),
        "story": page.locator("#text").input_value().split("\n\n"),
        "texts": page.locator("#paragraphs .prose").all_inner_texts(),
        "bars": page.locator("#paragraphs > li").first.locator(".bars li").all_inner_texts(),
        "calls": [row.locator("th, td").all_text_contents() for row in page.locator("#calls tr").all()],
        "figures": page.locator("#figures dd").all_inner_texts(),
        "model": page.locator("#model").inner_text(),
    }


def keyboard(browser: Browser, url: str) -> dict[str, Any]:
    """Scores a text and reads the arc without a pointer."""
    visit = Visit(browser, url, reduced_motion="reduce")
    page = visit.page
    focused = page.locator(":focus")
    page.keyboard.press("Tab")
    skip = focused.inner_text()
    page.keyboard.press("Enter")
    page.keyboard.insert_text("One.\n\nTwo.\n\nThree.")
    page.keyboard.press("Control+Enter")
    visit.done()
    stops: list[str] = []
    while (stop := focused.get_attribute("role") or focused.get_attribute("id")) != "slider" and len(stops) < 20:
        stops.append(stop)
        page.keyboard.press("Tab")
    outline = focused.evaluate("element => getComputedStyle(element).outlineStyle")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    value = focused.get_attribute("aria-valuetext")
    page.keyboard.press("Enter")
    return {"skip": skip, "stops": stops, "outline": outline, "value": value, "opened": focused.get_attribute("id")}


def texts(browser: Browser, url: str) -> dict[str, Any]:
    visit = Visit(browser, url)
    page = visit.page
    visit.score(f"{MARKUP}\n\n\u200b\n\n  two\nlines  \n\n\n \n")
    status = visit.done()
    page.locator("#policy").select_option("OVERLENGTH_POLICY_REJECT")
    page.locator("#separator").select_option("line")
    found = {
        "texts": page.locator("#paragraphs .prose").all_inner_texts(),
        "images": page.locator("#paragraphs img").count(),
        "errors": page.locator("#paragraphs .error").all_inner_texts(),
        "status": status,
    }
    visit.score("one\n" + "long " * 1000 + "\nthree")
    visit.done()
    found["refused"] = [item.locator(".error").all_inner_texts() for item in page.locator("#paragraphs > li").all()]
    return found


def batches(browser: Browser, url: str) -> dict[str, Any]:
    """A text of several calls, whose second call fails at first, and a cancelled call."""
    visit = Visit(browser, url)
    page = visit.page
    lanes: list[str] = []

    def fail_once(route: Route) -> None:
        lanes.append(route.request.headers["undertone-lane"])
        if len(lanes) == 2:
            body = json.dumps({"code": 8, "message": "the queue is full", "details": []})
            route.fulfill(status=429, content_type="application/json", headers={"retry-after": "3"}, body=body)
        else:
            route.continue_()

    page.route(CALL, fail_once)
    visit.score("\n\n".join(f"Paragraph {number}." for number in range(1, 71)))
    problem = page.locator("#problem")
    expect(problem).to_contain_text("queue")
    found: dict[str, Any] = {"problem": problem.inner_text(), "partial": page.locator("#paragraphs > li").count()}
    page.get_by_role("button", name="Continue").click()
    visit.done()
    found |= {"texts": page.locator("#paragraphs .prose").all_inner_texts(), "lanes": lanes, "hidden": problem.is_hidden()}
    page.unroute(CALL)

    page.route(CALL, lambda route: time.sleep(0))  # never answered
    with page.expect_request(CALL):
        visit.score("One.")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#status")).to_contain_text("Cancelled")
    found["cancelled"] = page.locator("#status").inner_text()
    return found


def many_labels(browser: Browser, url: str) -> dict[str, Any]:
    """Answers of a multi-label model with 40 labels."""
    labels = [f"label-{number}" for number in range(40)]
    probabilities = [number / 40 for number in range(40)]
    model = {"name": "many", "version": "7", "precision": "fp32"}
    problem_type = "PROBLEM_TYPE_MULTI_LABEL"
    contract = {**model, "labels": labels, "maxTokens": 128, "problemType": problem_type, "thresholds": [0.95] * 40}
    limits = {"maxParagraphBytes": 999, "maxParagraphCharacters": 99, "maxBatchParagraphs": 9, "maxBatchBytes": 999}
    scores = {"probabilities": probabilities, "tokens": 5, "truncated": False, "chunks": 1}
    results = [
        {"id": "", "classification": {**scores, "labelIndex": 39, "labelIndexesAboveThreshold": indexes}}
        for indexes in ([38, 39], [])
    ]
    timings = {"queueSeconds": 0.1, "tokenizeSeconds": 0.2, "predictSeconds": 0.3, "totalSeconds": 1.25}
    answer = {"results": results, "labels": labels, "timings": timings, "model": model, "problemType": problem_type}
    page = browser.new_page()
    page.route("**/v1/model", lambda route: route.fulfill(json={"contract": contract, "limits": limits}))
    page.route(CALL, lambda route: route.fulfill(json=answer))
    page.goto(url)
    page.locator("#text").fill(f"One.\n\n{'x' * 100}\n\nTwo.")
    page.locator("#text").press("Control+Enter")
    expect(page.locator("#status")).to_contain_text("scored in")
    page.locator("#paragraphs details").first.locator("summary").click()
    items = page.locator("#paragraphs > li")
    return {
        "verdicts": page.locator("#paragraphs .verdict").all_inner_texts(),
        "bars": items.first.locator(".bars li").count(),
        "errors": page.locator("#paragraphs .error").all_inner_texts(),
        "calls": [row.locator("th, td").all_text_contents() for row in page.locator("#calls tr").all()],
        "rows": page.locator("#chart .names li").count(),
        "violations": [rule["id"] for rule in Axe().run(page).response["violations"]],
    }


def modules(browser: Browser, url: str) -> dict[str, Any]:
    """Batches of random paragraphs, and curves through random points."""
    page = Visit(browser, url).page
    texts = ["é" * random.randrange(1, 40) for _ in range(200)]
    limits = {"maxBatchParagraphs": 7, "maxBatchBytes": 100}
    points = [[10 * x, random.choice([0.0, 1.0, random.random()])] for x in range(200)]
    script = """async ([texts, limits, points]) => {
      const { batchesOf } = await import("./playground/text.js");
      const { curve } = await import("./playground/curve.js");
      const batches = batchesOf(texts.map((text) => ({ text })), limits);
      return [batches.map((batch) => batch.map(({ text }) => text)), curve(points.map(([x, y]) => [x, 1000 * y]), 0, 2000)];
    }"""
    batches, path = page.evaluate(script, [texts, limits, points])
    return {"texts": texts, "limits": limits, "batches": batches, "path": path}


def main(url: str, program: str) -> None:
    with sync_playwright() as playwright:
        # Chromium's own sandbox cannot run as root.
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=os.geteuid() != 0)
        found = {
            "narrow": appearance(browser, url, 390, "dark"),
            "wide": appearance(browser, url, 1400, "light"),
            "keyboard": keyboard(browser, url),
            "texts": texts(browser, url),
            "batches": batches(browser, url),
            "modules": modules(browser, url),
            "many_labels": many_labels(browser, url),
        }
        browser.close()
    print(json.dumps(found))


main(*sys.argv[1:])
