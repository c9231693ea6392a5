"""Uses a report in a browser, and prints what it shows as JSON.

Usage: report_steps.py URL BROWSER. It runs in build/browser.
"""

import json
import os
import sys
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

ARC = """() => {
  const story = data.stories[data.stories.length - 1];
  const groups = course(story);
  const span = story.last - story.first + 1;
  const points = chartPoints(story.groups);
  const values = smooth(groups, groups.means, story.first, span, story.bandwidth, points);
  return { story, points, values, ...groups };
}"""


def appearance(browser: Browser, url: str, width: int, scheme: str) -> dict[str, Any]:
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url)
    response = Axe().run(page).response
    assert response["passes"], "axe has checked nothing"
    return {
        "violations": [f"{rule['id']}: {node['html'][:200]}" for rule in response["violations"] for node in rule["nodes"]],
        "overflow": page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"),
        "messages": messages,
        "requests": requests,
    }


def stories(page: Page) -> dict[str, Any]:
    """Searches, sorts and pages through the stories, and picks one."""
    cards = page.locator("#cards li")
    first = cards.count()
    page.locator("#more").click()
    more = cards.count()
    page.locator("#sort").select_option("paragraphs")
    longest = cards.locator("strong").first.inner_text()
    page.locator("#search").fill("TALE 7")
    matching = cards.locator("strong").all_inner_texts()
    status = page.locator("#found").inner_text()
    cards.first.locator("a").click()
    chosen = page.locator("#arc-title").inner_text()
    page.locator("#next").click()
    return {
        "cards": [first, more],
        "longest": longest,
        "matching": matching,
        "status": status,
        "chosen": chosen,
        "next": page.locator("#arc-title").inner_text(),
    }


def reading(page: Page, url: str) -> dict[str, Any]:
    """Reads an arc with the keyboard, follows a link to a paragraph, and changes the smoothing."""
    page.goto(f"{url}#story-31")
    canvas = page.locator(".canvas")
    canvas.focus()
    keys = []
    for key in ("End", "ArrowLeft", "Home"):
        canvas.press(key)
        keys.append(page.locator(".selected").inner_text())
    text = canvas.get_attribute("aria-valuetext")
    line = page.locator("#ridges .line").nth(1)
    before = line.get_attribute("d")
    page.locator("#smoothing").press("Home")
    level, after = page.locator("#level").inner_text(), line.get_attribute("d")
    page.locator("#contents summary").click()
    page.locator("#contents button").nth(1).click()
    chapter = page.locator(".selected").inner_text()
    link = page.locator("#strongest li").first
    link.locator("a").click()
    return {
        "keys": keys,
        "text": text,
        "level": level,
        "changed": before != after,
        "chapter": chapter,
        "strongest": link.locator("p").inner_text(),
        "title": page.locator("#arc-title").inner_text(),
        "linked": page.locator(".selected").inner_text(),
    }


def main(url: str, program: str) -> None:
    with sync_playwright() as playwright:
        # Chromium's own sandbox cannot run as root.
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=os.geteuid() != 0)
        page = browser.new_page()
        page.goto(url)
        found = {
            "narrow": appearance(browser, url, 390, "dark"),
            "wide": appearance(browser, url, 1400, "light"),
            "stories": stories(page),
            "reading": reading(page, url),
            "arc": page.evaluate(ARC),
        }
        browser.close()
    print(json.dumps(found))


main(*sys.argv[1:])
