"""One server with an empty data folder, one Chromium, one fresh page for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.browser.driving import FLAGS, open_lens, start_server, stop

PAGES = ("heads", "strength", "patterns", "flow", "binding")
STREAMLIT_ASKS = tuple(
    f"/{page}/_stcore/{name}" for page in PAGES for name in ("health", "host-config")
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("atlas")
    process, address = start_server(folder / "data", folder / "server.log")
    yield address
    stop(process)


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    assert path, "the browser tests need Debian's chromium on the path: make browser"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def complaint(message) -> list[str]:
    """An error of the console in words; none for what Streamlit does on every deep link.

    It asks for two addresses below the page's own path first, and then finds the right ones.
    """
    path = urlsplit(message.location.get("url", "")).path
    if message.type != "error" or path in STREAMLIT_ASKS:
        return []
    return [f"{message.text} {path}".strip()]


@pytest.fixture
def page(chromium):
    """A page of 1440 x 900 that fails the test when the console shows an error."""
    context = chromium.new_context(
        viewport={"width": 1440, "height": 900}, accept_downloads=True, color_scheme="light"
    )
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda message: page.problems.extend(complaint(message)))
    yield page
    problems = list(page.problems)
    context.close()
    assert problems == []


@pytest.fixture
def lens(page, server):
    """The page with the bundled model on the first sample, ready to be hovered."""
    return open_lens(page, server)
