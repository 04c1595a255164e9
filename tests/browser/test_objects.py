"""The Binding page in a real browser: what a person sees and can do."""

from __future__ import annotations

import csv
import io
import re

import pytest

from tests.browser.conftest import complaint
from tests.browser.driving import open_binding

# The first page waits for imports and a model; a busy machine may take minutes for it.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SIDE, POINTS = 10, 7


@pytest.fixture
def objects(page, server):
    """The page with a small model on a made scene."""
    return open_binding(page, server)


def painted(page, **wanted):
    """The last painting, once it says so."""
    page.wait_for_function(
        "(wanted) => { const last = window.bindings.at(-1);"
        " return last && Object.keys(wanted).every((name) => last[name] === wanted[name]); }",
        arg=wanted,
        timeout=15_000,
    )
    return page.evaluate("window.bindings.at(-1)")


def patch_place(page, row: int, column: int) -> tuple[float, float]:
    place, box = painted(page)["place"], page.locator('[data-part="map"]').bounding_box()
    x = box["x"] + place["left"] + place["width"] * (column + 0.5) / SIDE
    return x, box["y"] + place["top"] + place["height"] * (row + 0.5) / SIDE


def exported(page, query: int):
    """What the server says of a patch at every point: [point][row][column]."""
    link = page.locator('[data-part="mapExports"] a[data-kind="json"]').get_attribute("href")
    address = page.url.split("/binding")[0] + link.partition("?")[0]
    return page.request.get(f"{address}?q={query}").json()["same_object"]


def test_the_page_fits_the_window(objects):
    main = objects.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")
    cells = painted(objects)["cells"]
    assert len(cells) == POINTS and objects.locator("canvas").count() >= 3


def test_hover_asks_about_a_patch_without_a_request(objects):
    expected = exported(objects, 4 * SIDE + 3)
    asked = []
    objects.on("request", lambda request: asked.append(request.url))
    objects.mouse.move(*patch_place(objects, 4, 3))
    found = painted(objects, query="4,3")
    assert found["chance"] == pytest.approx(expected[found["point"]][4][3], abs=2e-3)
    assert [url for url in asked if "/atlas/" in url] == []
    assert (
        objects.locator('[data-part="mapTitle"]')
        .inner_text()
        .startswith("Same object as patch 4,3?")
    )


def test_a_pinned_patch_is_compared_with_others(objects):
    objects.mouse.click(*patch_place(objects, 4, 3))
    painted(objects, query="4,3", pinned=True)
    expected = exported(objects, 4 * SIDE + 3)
    objects.mouse.move(*patch_place(objects, 8, 7))
    found = painted(objects, query="4,3", pointed="8,7")
    assert found["chance"] == pytest.approx(expected[found["point"]][8][7], abs=2e-3)
    objects.wait_for_url(re.compile("patch=4%2C3"), timeout=10_000)
    objects.keyboard.press("Escape")
    painted(objects, pinned=False)


def test_points_are_chosen_in_the_strip_by_key_and_in_the_menu(objects):
    at = painted(objects)["cells"][1]
    box = objects.locator('[data-part="strip"]').bounding_box()
    objects.mouse.click(box["x"] + at["left"] + 5, box["y"] + at["top"] + 5)
    painted(objects, point=1)
    objects.keyboard.press("ArrowRight")
    painted(objects, point=2)
    objects.locator('[data-part="point"]').select_option("0")
    painted(objects, point=0)
    assert "the embedding" in objects.locator('[data-part="mapTitle"]').inner_text()


def test_the_curve_has_a_dot_for_every_point_and_measures_switch(objects):
    dots = [dot for dot in painted(objects)["dots"] if dot["name"] == "plda"]
    assert [dot["point"] for dot in dots] == list(range(POINTS))
    rows = objects.locator('[data-part="rows"] button')
    assert rows.filter(has_text="position alone").count() == 1
    before = rows.first.locator("b").inner_text()
    objects.locator('[data-part="measure"]').select_option("accuracy")
    painted(objects, measure="accuracy")
    assert rows.first.locator("b").inner_text() != before
    objects.wait_for_url(re.compile("measure=accuracy"), timeout=10_000)


def test_outlines_and_truth_are_there_for_a_scene(objects):
    objects.keyboard.press("t")
    painted(objects, truth=False)
    facts = objects.locator('[data-part="facts"]').inner_text()
    assert "the same object" in facts and "AUC, this patch" in facts
    assert "Fitted on 40 made scenes" in objects.locator('[data-part="words"]').inner_text()


def test_the_table_and_the_arrays_download(objects):
    with objects.expect_download(timeout=30_000) as got:
        objects.locator('[data-part="exports"] a[data-kind="csv"]').click()
    rows = list(csv.DictReader(io.StringIO(got.value.path().read_text())))
    assert {"plda", "majority", "position", "pixel", "both"} == {row["probe"] for row in rows}
    with objects.expect_download(timeout=30_000) as got:
        objects.locator('[data-part="mapExports"] a[data-kind="npz"]').click()
    assert got.value.suggested_filename == "same-object.npz"


def test_the_scene_opens_in_the_lens(objects):
    objects.evaluate(
        "window.painted = [];"
        "addEventListener('lens:painted', (event) => window.painted.push(event.detail))"
    )
    objects.get_by_role("button", name="open in the lens").click()
    objects.wait_for_function("window.painted.length > 0", timeout=60_000)
    assert "/binding" not in objects.url


def test_a_photograph_in_the_dark_and_a_narrow_window(chromium, server):
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, color_scheme="dark")
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.extend(complaint(message)))
    open_binding(page, server, "?model=test_vit:random")
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    for name in ("map", "curves", "strip"):
        box = page.locator(f'canvas[data-part="{name}"]').bounding_box()
        assert box["width"] > 250 and box["y"] + box["height"] < 768
    assert "nobody has marked" in page.locator('[data-part="words"]').inner_text()
    assert page.locator('[data-part="truthButton"]').is_hidden()
    context.close()
    assert problems == []


def test_script_is_one_module_with_unique_names():
    from pages._components.binding import FOLDER, MODULES

    assert {path.name for path in FOLDER.glob("*.js")} == {
        name for name in MODULES if not name.startswith("../")
    }
    names = re.findall(
        r"^(?:export )?(?:async )?(?:function|const|let) (\w+)",
        "\n".join((FOLDER / name).read_text() for name in MODULES),
        re.MULTILINE,
    )
    assert sorted(names) == sorted(set(names))
