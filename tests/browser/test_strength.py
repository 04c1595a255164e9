"""The Strength page in a real browser: what a person sees and can do."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest

from tests.browser.conftest import complaint
from tests.browser.driving import (
    dot_position,
    listen_to_strength,
    open_lens,
    open_strength,
    strength_painted,
)

# The first page waits for imports and a model; a busy machine may take minutes for it.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SMALL = "?model=test_vit:random"


@pytest.fixture
def strength(page, server):
    """The page with a small model, all pictures measured."""
    open_strength(page, server)
    page.locator('[data-part="count"]').get_by_text("8 images", exact=True).wait_for()
    return page


def wait_for(page, **wanted):
    """Until the last painting says so."""
    page.wait_for_function(
        "(wanted) => { const last = window.strength.at(-1);"
        " return last && Object.keys(wanted).every((name) => last[name] === wanted[name]); }",
        arg=wanted,
        timeout=15_000,
    )
    return strength_painted(page)


def study(page):
    """The profile on screen as the routes give it."""
    export = page.locator('[data-part="exports"] a').first.get_attribute("href")
    return page.request.get(page.url.split("/strength")[0] + export.split("/export")[0]).json()


def shown_number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_the_navigation_leads_from_the_lens_to_strength(page, server):
    listen_to_strength(page)
    open_lens(page, server, "/" + SMALL)
    page.get_by_role("link", name="Strength").click()
    page.wait_for_function("window.strength.length > 0", timeout=120_000)
    assert "/strength?model=test_vit" in page.url
    assert page.locator('[data-part="byLayer"]').bounding_box()["height"] > 200
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")


def test_dots_stand_at_their_means(strength):
    found, dots = study(strength), strength_painted(strength)["dots"]
    mean = np.array(found["summary"]["mean_distance:renormalised"]["mean"])
    heights = np.array([y for _, y in dots])
    # The axis is linear and points up: heights and means lie on a falling line.
    slope, offset = np.polyfit(mean, heights, 1)
    assert slope < 0 and np.abs(slope * mean + offset - heights).max() < 0.05
    places = [x for x, _ in dots]
    assert places == sorted(places)


def test_hover_reads_a_head_and_click_selects_it(strength):
    facts = strength.locator('[data-part="facts"]')
    found = study(strength)
    head = found["heads"].index([2, 1])
    strength.mouse.move(*dot_position(strength, head))
    wait_for(strength, pointed="2:1")
    assert "L2 H1" in facts.inner_text()
    shown = re.search(r"Mean distance\s+([\d.e−-]+)", facts.inner_text()).group(1)
    mean = found["summary"]["mean_distance:renormalised"]["mean"][head]
    assert shown_number(shown) == pytest.approx(mean, rel=0.01)
    strength.mouse.click(*dot_position(strength, head))
    wait_for(strength, layer=2, head=1, offset=True)
    strength.wait_for_url(re.compile(r"layer=2.*head=1|head=1.*layer=2"), timeout=10_000)
    assert strength.locator('[data-part="hopsTitle"]').inner_text() == "Hops of L2 H1"


def test_units_rules_and_metrics_change_the_numbers(strength):
    found = study(strength)
    strength.mouse.click(*dot_position(strength, 0))
    wait_for(strength, layer=0, head=0)
    value = strength.locator('[data-part="facts"] dd').nth(1)
    renormalised, raw = (
        found["summary"][f"mean_distance:{rule}"]["mean"][0] for rule in ("renormalised", "raw")
    )
    strength.get_by_role("button", name="pixels").click()
    wait_for(strength, unit="pixels")
    assert shown_number(value.inner_text()) == pytest.approx(16 * renormalised, rel=0.01)
    strength.get_by_role("button", name="of uniform").click()
    wait_for(strength, unit="uniform")
    uniform = found["layers"][0]["uniform"]
    assert shown_number(value.inner_text()) == pytest.approx(renormalised / uniform, rel=0.01)
    strength.get_by_role("button", name="raw", exact=True).click()
    wait_for(strength, rule="raw")
    assert shown_number(value.inner_text()) == pytest.approx(raw / uniform, rel=0.01)
    strength.wait_for_url(re.compile("rule=raw"), timeout=10_000)
    strength.locator('[data-part="metricMenu"]').select_option("nmi")
    wait_for(strength, metric="nmi")
    assert strength.get_by_role("button", name="pixels").is_disabled()
    strength.wait_for_url(re.compile("metric=nmi"), timeout=10_000)


def test_keys_step_and_list_themselves(strength):
    strength.mouse.click(*dot_position(strength, 4))
    wait_for(strength, layer=2, head=0)
    for key, wanted in (
        ("ArrowDown", {"layer": 3, "head": 0}),
        ("ArrowRight", {"layer": 3, "head": 1}),
        ("ArrowRight", {"layer": 3, "head": 1}),
        ("ArrowUp", {"layer": 2, "head": 1}),
        ("m", {"metric": "hop_entropy"}),
        ("r", {"rule": "raw"}),
        ("h", {"hops": "mass"}),
    ):
        strength.keyboard.press(key)
        wait_for(strength, **wanted)
    strength.keyboard.press("?")
    strength.get_by_role("dialog").get_by_text("Chebyshev").wait_for(state="visible")
    strength.keyboard.press("Escape")
    strength.locator('[data-part="help"]').wait_for(state="hidden")


def test_an_image_of_the_shelf_becomes_the_chosen_one(strength):
    strength.mouse.click(*dot_position(strength, 3))
    wait_for(strength, layer=1, head=1)
    found = study(strength)
    values = strength.request.get(
        strength.url.split("/strength")[0] + found["urls"]["tables"]
    ).body()
    first = np.frombuffer(values, "<f4")[: 8 * 12].reshape(8, 12)  # mean distance, renormalised
    largest = found["images"][int(first[:, 3].argmax())]
    box = strength.locator('[data-part="pictures"]').bounding_box()
    strength.mouse.move(box["x"] + 20, box["y"] + box["height"] - 110)
    strength.locator('[data-part="tip"]').get_by_text(largest["name"]).wait_for(state="visible")
    strength.mouse.click(box["x"] + 20, box["y"] + box["height"] - 110)
    wait_for(strength, image=largest["sha256"])
    strength.wait_for_url(re.compile(f"image={largest['sha256'][:16]}"), timeout=10_000)


def test_a_head_opens_in_the_lens_with_its_picture(strength):
    strength.mouse.click(*dot_position(strength, 9))
    image = wait_for(strength, layer=4, head=1)["image"]
    strength.evaluate(
        "window.painted = [];"
        "addEventListener('lens:painted', (event) => window.painted.push(event.detail))"
    )
    strength.get_by_role("button", name="open in the lens").click()
    strength.wait_for_function("window.painted.length > 0", timeout=60_000)
    strength.locator('[data-part="facts"]').get_by_text("L4 H1").wait_for()
    assert "/strength" not in strength.url and f"image={image[:16]}" in strength.url


def test_export_links_download_the_profile(strength):
    with strength.expect_download(timeout=30_000) as got:
        strength.locator('a[data-kind="csv"]').click()
    rows = list(csv.DictReader(io.StringIO(got.value.path().read_text())))
    assert {row["cls_rule"] for row in rows} == {"", "raw", "renormalised"}
    assert got.value.suggested_filename == "profile.csv"
    strength.locator('[data-part="metricMenu"]').select_option("row_entropy")
    wait_for(strength, metric="row_entropy")
    with strength.expect_download(timeout=30_000) as got:
        strength.locator('a[data-kind="svg"]').click()
    text = got.value.path().read_text()
    assert text.startswith("<svg") and "Row entropy of every head, renormalised" in text


def test_the_dark_theme_and_a_narrow_window_work_without_errors(chromium, server):
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, color_scheme="dark")
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.extend(complaint(message)))
    open_strength(page, server)
    colour = page.locator(".strength").evaluate("(node) => getComputedStyle(node).color")
    assert min(int(part) for part in re.findall(r"\d+", colour)[:3]) > 180
    main = page.locator('[data-testid="stMain"]')
    # The panel's lower half goes below the charts here; nothing is cut off at the side.
    assert main.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    for name in ("byLayer", "offsets", "hops", "pictures", "templates"):
        box = page.locator(f'canvas[data-part="{name}"]').bounding_box()
        assert box["width"] > 150 and box["y"] + box["height"] < 768
    context.close()
    assert problems == []


def test_script_is_one_module_with_unique_names():
    from pages._components.strength import FOLDER, MODULES

    assert {path.name for path in FOLDER.glob("*.js")} == {
        name for name in MODULES if not name.startswith("../")
    }
    names = re.findall(
        r"^(?:export )?(?:async )?(?:function|const|let) (\w+)",
        "\n".join((FOLDER / name).read_text() for name in MODULES),
        re.MULTILINE,
    )
    assert sorted(names) == sorted(set(names))
