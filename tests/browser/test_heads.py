"""The Heads page in a real browser: what a person sees and can do."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest

from tests.browser.conftest import complaint
from tests.browser.driving import (
    ROOT,
    cell_position,
    heads_painted,
    listen_to_heads,
    open_heads,
    open_lens,
)

# The first page waits for imports and a model; a busy machine may take minutes for it.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SMALL = "?model=test_vit:random"


@pytest.fixture
def heads(page, server):
    """The page with a small model, its preview on screen."""
    return open_heads(page, server)


def wait_for(page, **wanted):
    """Until the last painting says so."""
    page.wait_for_function(
        "(wanted) => { const last = window.heads.at(-1);"
        " return last && Object.keys(wanted).every((name) => last[name] === wanted[name]); }",
        arg=wanted,
        timeout=15_000,
    )
    return heads_painted(page)


def study(page):
    """The study on screen as the routes give it."""
    export = page.locator('[data-part="exports"] a').first.get_attribute("href")
    return page.request.get(page.url.split("/heads")[0] + export.split("/export")[0]).json()


def cell_colour(page, layer: int, head: int) -> list[int]:
    layout = heads_painted(page)["layout"]
    x = layout["left"] + head * (layout["width"] + layout["gap"]) + 5
    y = layout["top"] + layer * (layout["height"] + layout["gap"]) + 5
    return page.locator(".headGrid").evaluate(
        "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData("
        "x * devicePixelRatio, y * devicePixelRatio, 1, 1).data.slice(0, 3)]",
        [x, y],
    )


def test_the_navigation_leads_from_the_lens_to_the_heads(page, server):
    listen_to_heads(page)
    open_lens(page, server, "/" + SMALL)
    page.get_by_role("link", name="Heads").click()
    page.wait_for_function("window.heads.length > 0", timeout=120_000)
    assert page.locator('[data-testid="stSidebar"]').get_by_text("Model").first.is_visible()
    assert "/heads?model=test_vit" in page.url
    assert page.locator(".headGrid").bounding_box()["height"] > 100
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")


def test_the_matrix_has_the_colours_of_the_means(heads):
    from analytics.views.colours import table

    mean = study(heads)["summary"]["sensitivity"]["mean"]
    pairs = [tuple(pair) for pair in study(heads)["heads"]]
    palette = np.asarray(table("viridis"))[:, :3].astype(int)
    top = max(mean)
    # Corners of cells: the middle may carry a rank.
    for layer, head in ((0, 0), (2, 1), (5, 0)):
        value = mean[pairs.index((layer, head))]
        expected = palette[round(255 * value / top)]
        found = np.array(cell_colour(heads, layer, head))
        assert np.abs(found - expected).max() <= 6


def test_hover_reads_a_head_and_click_selects_it(heads):
    facts = heads.locator('[data-part="facts"]')
    heads.mouse.move(*cell_position(heads, 1, 0))
    wait_for(heads, pointed="1:0")
    assert "L1 H0" in facts.inner_text()
    summary = study(heads)["summary"]["sensitivity"]
    shown = re.search(r"Sensitivity\s+([\d.e−-]+)", facts.inner_text()).group(1)
    column = study(heads)["heads"].index([1, 0])
    assert float(shown.replace("−", "-")) == pytest.approx(summary["mean"][column], rel=0.05)
    heads.mouse.click(*cell_position(heads, 3, 1))
    wait_for(heads, layer=3, head=1)
    heads.wait_for_url(re.compile(r"layer=3.*head=1|head=1.*layer=3"), timeout=10_000)
    assert "L3 H1, selected" in facts.inner_text()


def test_keys_step_layer_head_metric_and_list_themselves(heads):
    heads.mouse.click(*cell_position(heads, 2, 0))
    wait_for(heads, layer=2, head=0)
    for key, wanted in (
        ("ArrowDown", {"layer": 3, "head": 0}),
        ("ArrowRight", {"layer": 3, "head": 1}),
        ("ArrowRight", {"layer": 3, "head": 1}),
        ("ArrowUp", {"layer": 2, "head": 1}),
        ("m", {"metric": "taylor"}),
    ):
        heads.keyboard.press(key)
        wait_for(heads, **wanted)
    heads.keyboard.press("Home")
    best = int(np.argmax(study(heads)["summary"]["taylor"]["mean"]))
    layer, head = study(heads)["heads"][best]
    wait_for(heads, layer=layer, head=head)
    heads.keyboard.press("?")
    heads.get_by_role("dialog").get_by_text("layer and head").wait_for(state="visible")
    heads.keyboard.press("Escape")
    heads.locator('[data-part="help"]').wait_for(state="hidden")


def test_shift_click_and_least_important_fill_the_pruning_set(heads):
    for layer, head in ((0, 1), (2, 0)):
        heads.keyboard.down("Shift")
        heads.mouse.click(*cell_position(heads, layer, head))
        heads.keyboard.up("Shift")
    chips = heads.locator('[data-part="chips"]')
    chips.get_by_text("L2 H0").wait_for(state="visible")  # drawn with the next frame
    assert "L0 H1" in chips.inner_text()
    heads.wait_for_url(re.compile(r"heads=0(:|%3A)1(,|%2C)2(:|%3A)0"), timeout=10_000)
    field = heads.locator('[data-part="least"]')
    field.fill("3")
    field.press("Enter")
    heads.wait_for_timeout(200)
    mean = study(heads)["summary"]["sensitivity"]["mean"]
    least = [study(heads)["heads"][i] for i in np.argsort(mean)[:3]]
    assert {f"L{layer} H{head}" for layer, head in least} == set(
        re.findall(r"L\d+ H\d+", chips.inner_text())
    )
    chips.get_by_role("button").first.click()
    heads.wait_for_timeout(200)
    assert len(re.findall(r"L\d+ H\d+", chips.inner_text())) == 2


def test_a_head_opens_in_the_lens_with_its_picture(heads):
    heads.mouse.click(*cell_position(heads, 4, 1))
    image = wait_for(heads, layer=4, head=1)["image"]
    heads.evaluate(
        "window.painted = [];"
        "addEventListener('lens:painted', (event) => window.painted.push(event.detail))"
    )
    heads.get_by_role("button", name="open in the lens").click()
    heads.wait_for_function("window.painted.length > 0", timeout=60_000)
    heads.wait_for_timeout(300)
    assert "L4 H1" in heads.locator('[data-part="facts"]').inner_text()
    assert "/heads" not in heads.url
    assert f"image={image[:16]}" in heads.url  # a sample goes by the start of its hash


def test_leaving_at_once_after_a_click_does_not_empty_the_next_page(heads):
    heads.evaluate(
        "window.painted = [];"
        "addEventListener('lens:painted', (event) => window.painted.push(event.detail))"
    )
    heads.mouse.click(*cell_position(heads, 5, 1))
    heads.get_by_role("link", name="Lens").click()  # before the page has heard of the head
    heads.wait_for_function("window.painted.length > 0", timeout=60_000)
    assert "/heads" not in heads.url


def test_export_links_download_the_study(heads):
    heads.locator('[data-metric="confidence"]').click()
    wait_for(heads, metric="confidence")
    with heads.expect_download(timeout=30_000) as got:
        heads.locator('a[data-kind="csv"]').click()
    rows = list(csv.DictReader(io.StringIO(got.value.path().read_text())))
    assert {row["metric"] for row in rows} >= {"sensitivity", "confidence"}
    assert got.value.suggested_filename == "importance.csv"
    with heads.expect_download(timeout=30_000) as got:
        heads.locator('a[data-kind="svg"]').click()
    text = got.value.path().read_text()
    assert text.startswith("<svg") and "Head importance by confidence" in text


def test_measured_exactly_a_head_gives_its_parts_and_curves_appear(heads):
    preview = heads_painted(heads)["id"]
    assert "preview" in heads.locator('[data-part="kind"]').inner_text()
    heads.get_by_role("button", name="Measure exactly").click()
    heads.wait_for_function(
        "(before) => window.heads.at(-1).id !== before", arg=preview, timeout=60_000
    )
    assert heads.locator('[data-part="kind"]').inner_text() == "zero ablation"
    # The charts are drawn anew when the last pictures come: wait for the end of the progress.
    heads.locator(".st-key-atlas_status").wait_for(state="detached", timeout=60_000)
    heads.locator('[data-part="count"]').get_by_text("8 images", exact=True).wait_for()
    heads.get_by_role("button", name="prune parts of it").click()
    heads.locator('[data-part="modes"] .mode').first.wait_for(state="visible", timeout=30_000)
    assert heads.locator('[data-part="modes"] .mode').count() == 6
    heads.get_by_role("button", name="Compute pruning curves").click()
    heads.locator('[data-part="curvesBox"]').wait_for(state="visible", timeout=60_000)
    assert study(heads)["curves"]["removed"][0] == 0


def test_progress_comes_and_goes_without_a_new_instrument(heads):
    instrument = heads.locator(".heads")
    instrument.evaluate("(node) => { node.dataset.first = 'yes'; }")
    heads.get_by_text("mean", exact=True).click()
    heads.get_by_role("button", name="Measure exactly").click()
    kind = heads.locator('[data-part="kind"]')
    kind.get_by_text("mean ablation", exact=True).wait_for(timeout=60_000)
    heads.locator(".st-key-atlas_status").wait_for(state="detached", timeout=60_000)
    heads.locator('[data-part="count"]').get_by_text("8 images", exact=True).wait_for()
    assert instrument.get_attribute("data-first") == "yes"


def test_a_press_into_which_a_redraw_falls_is_still_a_click(page, server):
    held = []

    def partly(route, done):
        response = route.fetch()
        meta = {**response.json(), "complete": False, "images_done": done}
        route.fulfill(response=response, json=meta)

    def answer(route):
        """The first look finds a part of the study; the second waits for the test."""
        if answer.first:
            answer.first = False
            partly(route, 1)
        else:
            held.append(route)

    answer.first = True
    page.route(re.compile(r"/atlas/importance/[^/?]+$"), answer)
    open_heads(page, server)
    count, chips = page.locator('[data-part="count"]'), page.locator('[data-part="chips"] button')
    count.get_by_text("1 of 8 images").wait_for()
    page.locator('[data-part="least"]').fill("2")
    page.locator('[data-part="least"]').press("Enter")
    chips.nth(1).wait_for()
    while not held:
        page.wait_for_timeout(100)
    box = chips.first.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + box["height"] / 2)
    page.mouse.down()
    with page.expect_response(re.compile(r"/values\?")):
        partly(held.pop(), 2)
    page.wait_for_timeout(300)  # time enough to replace the button under the pointer
    page.mouse.up()
    count.get_by_text("2 of 8 images").wait_for()  # drawn anew after the click
    chips.nth(1).wait_for(state="detached")
    assert chips.count() == 1
    page.unroute_all(behavior="ignoreErrors")


def test_the_search_marks_its_heads_and_opens_one_in_the_lens(heads):
    before = corner_colours(heads)
    heads.get_by_text("Find the top heads").click()
    heads.get_by_label("How many heads").fill("2")
    heads.get_by_label("How many heads").press("Enter")
    heads.get_by_role("button", name="Find them").click()
    heads.wait_for_function("window.heads.at(-1).found.length === 2", timeout=60_000)
    names = heads_painted(heads)["found"]
    after = corner_colours(heads)
    assert {name for name in after if after[name] != before[name]} == set(names)
    heads.get_by_text("Exact: every head was measured on all of the 8 pictures").wait_for()
    assert "corners: top 2 by cls shift" in heads.locator('[data-part="caption"]').inner_text()
    assert "top=2" in heads.url and "by=cls_shift" in heads.url
    heads.evaluate(
        "window.painted = [];"
        "addEventListener('lens:painted', (event) => window.painted.push(event.detail))"
    )
    label = "L{} H{}".format(*names[1].split(":"))
    heads.get_by_test_id("stSidebar").get_by_role("radio", name=label).click()
    heads.wait_for_function("window.painted.length > 0", timeout=60_000)
    assert "/heads" not in heads.url
    heads.locator('[data-part="facts"]').get_by_text(label).wait_for()


def corner_colours(page) -> dict[str, list[int]]:
    """The pixel near the upper right corner of every cell of the matrix of test_vit."""
    layout, found = heads_painted(page)["layout"], {}
    for layer in range(6):
        for head in range(2):
            x = layout["left"] + head * (layout["width"] + layout["gap"]) + layout["width"] - 2
            y = layout["top"] + layer * (layout["height"] + layout["gap"]) + 3
            found[f"{layer}:{head}"] = page.locator(".headGrid").evaluate(
                "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData("
                "x * devicePixelRatio, y * devicePixelRatio, 1, 1).data.slice(0, 3)]",
                [x, y],
            )
    return found


def test_the_dark_theme_reaches_the_charts_without_errors(chromium, server):
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, color_scheme="dark")
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.extend(complaint(message)))
    open_heads(page, server)
    colour = page.locator(".heads").evaluate("(node) => getComputedStyle(node).color")
    assert min(int(part) for part in re.findall(r"\d+", colour)[:3]) > 180
    main = page.locator('[data-testid="stMain"]')
    # The panel's lower half goes below the charts here; nothing is cut off at the side.
    assert main.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    box = page.locator(".headGrid").bounding_box()
    assert box["width"] > 40 and box["y"] + box["height"] < 768
    context.close()
    assert problems == []


def test_script_is_one_module_with_unique_names():
    from pages._components.heads import FOLDER, MODULES

    assert {path.name for path in FOLDER.glob("*.js")} == {
        name for name in MODULES if not name.startswith("../")
    }
    names = re.findall(
        r"^(?:export )?(?:async )?(?:function|const|let) (\w+)",
        "\n".join((FOLDER / name).read_text() for name in MODULES),
        re.MULTILINE,
    )
    assert sorted(names) == sorted(set(names))
    assert (ROOT / "pages/_components/heads").samefile(FOLDER)
