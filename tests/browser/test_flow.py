"""The Flow page in a real browser: what a person sees and can do."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tests.browser.driving import ROOT, open_flow

# The first page waits for imports and a model; a busy machine may take minutes for it.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SMALL = "?model=test_vit:random"


@pytest.fixture
def flow(page, server):
    """The page with a small model; tokens above the mean count as sinks."""
    return open_flow(page, server, SMALL + "&threshold=1")


def painted(page):
    return page.evaluate("window.flows.at(-1)")


def wait_for(page, **wanted):
    """Until the last painting says so."""
    page.wait_for_function(
        "(wanted) => { const last = window.flows.at(-1);"
        " return last && Object.keys(wanted).every((name) => last[name] === wanted[name]); }",
        arg=wanted,
        timeout=15_000,
    )
    return painted(page)


def record(page, kind="json"):
    """The flow on screen as its export gives it."""
    link = page.locator(f'[data-part="exports"] [data-kind="{kind}"]').get_attribute("href")
    return page.request.get(page.url.split("/flow")[0] + link)


def patch_on(page, name, row, column, size=10):
    """Middle of a patch of a map, on the screen."""
    box = page.locator(f'[data-card="{name}"] .mapView').bounding_box()
    place = painted(page)["place"]
    x = box["x"] + place["left"] + place["width"] * (column + 0.5) / size
    return x, box["y"] + place["top"] + place["height"] * (row + 0.5) / size


def pixel(page, name, row, column, size=10):
    place = painted(page)["place"]
    x = place["left"] + place["width"] * (column + 0.5) / size
    y = place["top"] + place["height"] * (row + 0.5) / size
    return page.locator(f'[data-card="{name}"] .mapView').evaluate(
        "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData("
        "x * devicePixelRatio, y * devicePixelRatio, 1, 1).data.slice(0, 3)]",
        [x, y],
    )


def test_all_is_in_sight_without_scrolling(flow):
    main = flow.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")
    for part in ("sinkMap", "life", "band", "shifts"):
        box = flow.locator(f'[data-part="{part}"]').bounding_box()
        assert box["height"] > 60 and box["y"] + box["height"] <= 900
    areas = flow.locator('[data-card="legrad"] .areas').inner_text()
    assert "deletion" in areas and "±" in areas


def test_hover_reads_one_patch_in_every_map(flow):
    before = {name: pixel(flow, name, 2, 3) for name in ("rollout", "raw")}
    flow.mouse.move(*patch_on(flow, "relevance", 2, 5))
    wait_for(flow, pointed="2,5")
    facts = flow.locator('[data-part="facts"]').inner_text()
    assert "patch 2,5" in facts
    # The cross runs through the other maps as well.
    assert any(pixel(flow, name, 2, 3) != before[name] for name in before)
    arrays = record(flow, "npz").body()
    import io

    with np.load(io.BytesIO(arrays)) as file:
        values = file["map_legrad"]
    shown = re.search(r"LeGrad\s+([\d.e−-]+) × mean", facts).group(1).replace("−", "-")
    assert float(shown) == pytest.approx(values[2, 5] / values.mean(), rel=0.01)


def test_keys_step_layer_map_and_scale_and_the_address_follows(flow):
    flow.keyboard.press("ArrowUp")
    wait_for(flow, layer=4)
    flow.keyboard.press("m")
    wait_for(flow, map="relevance")
    flow.keyboard.press("s")
    wait_for(flow, scaling="own")
    assert "L4" in flow.locator('[data-map="raw"]').inner_text()
    flow.wait_for_url(re.compile(r"layer=4.*map=relevance.*scaling=own"), timeout=10_000)
    flow.keyboard.press("?")
    help_box = flow.locator('[data-part="help"]')
    help_box.wait_for(state="visible")
    assert "Abnar & Zuidema 2020" in help_box.inner_text()
    flow.keyboard.press("Escape")
    help_box.wait_for(state="hidden")
    assert flow.locator('[data-part="cards"]').is_visible()


def test_the_threshold_decides_what_is_a_sink(flow):
    many = painted(flow)["sinks"]
    said = record(flow).json()["sinks"]
    assert len(many) > len(said) == 0
    flow.locator('[data-part="threshold"]').fill("5")
    found = wait_for(flow, threshold=5)
    assert found["sinks"] == []
    assert flow.locator('[data-part="whatRun"]').is_disabled()


def test_a_what_if_runs_the_model_and_goes_back(flow):
    flow.locator('[data-part="share"]').fill("0.5")
    flow.locator('[data-part="whatRun"]').click()
    flow.wait_for_function("window.flows.at(-1).changed", timeout=60_000)
    wait_for(flow, shown="after")
    rows = flow.locator('[data-part="whatRows"]').inner_text()
    assert "Embedding cosine" in rows and "→" in rows
    what = record(flow).json()["what_if"]
    assert (what["threshold"], what["p"], what["prefix"]) == (1, 0.5, True)
    assert "needs gradients" in flow.locator('[data-card="legrad"] .why').inner_text()
    flow.keyboard.press("b")
    wait_for(flow, shown="change")
    flow.locator('[data-part="whatBack"]').click()
    wait_for(flow, shown="before", changed=None)


def test_a_click_on_a_patch_opens_it_in_the_lens(flow):
    flow.evaluate(
        "window.painted = []; addEventListener('lens:painted',"
        " (event) => window.painted.push(event.detail));"
    )
    flow.keyboard.press("ArrowUp")
    wait_for(flow, layer=4)
    flow.mouse.click(*patch_on(flow, "rollout", 3, 7))
    flow.wait_for_function("window.painted.some((one) => one.query === '3,7')", timeout=120_000)
    assert "layer=4" in flow.url and "/flow" not in flow.url


def test_a_reload_shows_the_same_view_again(page, server):
    query = SMALL + "&map=legrad&layer=2&scaling=own"
    open_flow(page, server, query)
    first = painted(page)
    page.reload()
    page.wait_for_function("window.flows.length > 0", timeout=120_000)
    again = painted(page)
    for name in ("id", "map", "layer", "scaling"):
        assert again[name] == first[name]
    assert (again["map"], again["layer"], again["scaling"]) == ("legrad", 2, "own")


def test_the_page_is_usable_in_a_narrow_window(page, server):
    page.set_viewport_size({"width": 1024, "height": 768})
    open_flow(page, server, SMALL)
    for name in ("rollout", "relevance", "legrad", "raw"):
        box = page.locator(f'[data-card="{name}"]').bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 1024
        assert page.locator(f'[data-card="{name}"] .mapView').bounding_box()["width"] > 100


def test_the_script_is_one_module_with_unique_names():
    from pages._components.flow import FOLDER, MODULES
    from pages._components.lens import joined

    assert sorted(path.name for path in FOLDER.glob("*.js")) == sorted(
        name for name in MODULES if not name.startswith("../")
    )
    text = joined(MODULES, FOLDER)
    assert not re.search(r"^import ", text, re.MULTILINE)
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", text, re.MULTILINE)
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})
    for path in FOLDER.glob("*.js"):
        assert len(path.read_text().splitlines()) < 300


def test_every_number_of_the_description_is_plain_json(flow):
    link = flow.locator('[data-part="exports"] a').first.get_attribute("href")
    address = flow.url.split("/flow")[0] + link.split("/export")[0]
    found = json.loads(flow.request.get(address).text(), parse_constant=pytest.fail)
    assert [one["name"] for one in found["maps"]] == ["rollout", "relevance", "legrad", "raw"]
    assert (ROOT / "pages" / "flow.py").exists()
