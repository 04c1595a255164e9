"""The Discovery view in a real browser: small multiples, the large picture, scenes, downloads."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import complaint

# The first page waits for imports and a model; a busy machine may take minutes for it.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SIDE = 10
METHODS = (
    "lost",
    "tokencut",
    "maskcut",
    "cls_mean",
    "cls_heads",
    "spectral",
    "centre_box",
    "whole",
)


def open_finding(page, server, query="&scene=one-colour:3"):
    """Open the view with a small model; paintings are kept in `window.finds`."""
    page.add_init_script(
        "window.finds = [];"
        "addEventListener('finding:painted', (event) => window.finds.push(event.detail));"
    )
    page.goto(f"{server}/binding?view=finding&model=test_vit:random{query}")
    # First without a probe, then again with the one that was fitted meanwhile.
    page.wait_for_function(
        "window.finds.at(-1)?.methods.find((one) => one.name === 'spectral').absent === ''",
        timeout=400_000,
    )
    return page


def painted(page, timeout=30_000, **wanted):
    """The last painting, once it says so."""
    page.wait_for_function(
        "(wanted) => { const last = window.finds.at(-1);"
        " return last && Object.keys(wanted).every((name) => last[name] === wanted[name]); }",
        arg=wanted,
        timeout=timeout,
    )
    return page.evaluate("window.finds.at(-1)")


def test_every_method_has_a_picture_and_a_click_enlarges_it(page, server):
    open_finding(page, server)
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")
    assert [one["name"] for one in painted(page)["methods"]] == list(METHODS)
    cards = page.locator("[data-card]")
    assert cards.count() == len(METHODS) + 2  # the truth and the coherence
    for name in ("maskcut", "truth", "coherence", "centre_box"):
        page.locator(f'[data-card="{name}"]').click()
        painted(page, found=name)
    page.keyboard.press("ArrowLeft")
    painted(page, found="spectral")
    masks = painted(page)["masks"]
    page.keyboard.press("m")
    assert painted(page, number=0)["masks"] == [0] != masks
    page.wait_for_url(re.compile("found=spectral"), timeout=30_000)


def test_hover_reads_the_patch_that_the_server_exports(page, server):
    open_finding(page, server)
    page.locator('[data-card="centre_box"]').click()
    place = painted(page, found="centre_box")["place"]
    box = page.locator('[data-part="big"]').bounding_box()
    facts = page.locator('[data-part="facts"]')
    for row, column, words in ((4, 5, "in the mask"), (0, 9, "in no mask")):
        x = box["x"] + place["left"] + place["width"] * (column + 0.5) / SIDE
        page.mouse.move(x, box["y"] + place["top"] + place["height"] * (row + 0.5) / SIDE)
        painted(page, pointed=f"{row},{column}")
        assert words in facts.inner_text()
    link = page.locator('[data-part="exports"] a[data-kind="labels"]')
    with page.expect_download(timeout=60_000) as got:
        link.click()
    labels = np.array(Image.open(io.BytesIO(got.value.path().read_bytes())))
    assert labels.dtype == np.uint16 and labels[4 * 16 + 8, 5 * 16 + 8] == 1
    assert labels[8, 9 * 16 + 8] == 0


def test_another_point_is_looked_at_and_scenes_are_measured_on_request(page, server):
    open_finding(page, server)
    assert painted(page)["scenes"] is None
    page.locator('[data-part="features"]').select_option("stream")
    painted(page, 200_000, features="stream")
    page.locator('[data-part="at"]').select_option("2")
    painted(page, 200_000, features="stream", point=2)
    page.get_by_role("button", name="measure on made scenes").click()
    page.wait_for_function("window.finds.at(-1).scenes", timeout=400_000)
    spots = painted(page)["spots"]
    names = [spot["name"] for spot in spots]
    assert "lost, random weights" in names and names[-1] == "whole"
    box = page.locator('[data-part="means"]').bounding_box()
    spot = spots[names.index("tokencut")]
    page.mouse.click(box["x"] + spot["x"], box["y"] + spot["y"])
    painted(page, found="tokencut")
    assert "66 scenes" in page.locator('[data-part="facts"]').inner_text()


def test_a_photograph_in_the_dark_and_a_narrow_window(chromium, server):
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, color_scheme="dark")
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.extend(complaint(message)))
    open_finding(page, server, "")
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    box = page.locator('canvas[data-part="big"]').bounding_box()
    assert box["width"] > 180 and box["y"] + box["height"] < 768
    assert "not marked" in page.locator('[data-part="cards"]').inner_text()
    assert page.locator('[data-part="truthButton"]').is_hidden()
    assert page.get_by_role("button", name="look at a made scene").is_visible()
    context.close()
    assert problems == []


def test_script_is_one_module_with_unique_names():
    from collections import Counter

    from pages._components.finding import FOLDER, MODULES
    from pages._components.lens import joined

    text = joined(MODULES, FOLDER)
    names = re.findall(r"^(?:async )?(?:function|const|let) (\w+)", text, re.MULTILINE)
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert text.count("export default") == 1
    assert {path.name for path in FOLDER.glob("*.js")} == {n for n in MODULES if "/" not in n}
