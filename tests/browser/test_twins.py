"""The view of identical copies in a real browser: copies are moved, added, removed and measured."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import complaint

# A preview of a probe is fitted first; a busy machine may take minutes for it.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SIDE, PATCH = 160, 16
TWO = "house~30~plain~4~grid~160~0.0_96.96"


def open_copies(page, address: str, query: str = f"&copies={TWO}"):
    page.add_init_script(
        "window.twins = [];"
        "addEventListener('twins:painted', (event) => window.twins.push(event.detail));"
    )
    page.goto(f"{address}/binding?model=test_vit:random&view=twins{query}")
    # The canvas is there before a probe is; the map comes with the probe.
    page.wait_for_function(
        "window.twins.length && window.twins.at(-1).chance !== null && !window.twins.at(-1).old",
        timeout=540_000,
    )
    return page


@pytest.fixture
def copies(page, server):
    """The view with two aligned copies, measured."""
    return open_copies(page, server)


def last(page, **wanted):
    """The last painting, once it says so."""
    page.wait_for_function(
        "(wanted) => Object.keys(wanted).every("
        " (name) => JSON.stringify(window.twins.at(-1)[name]) === JSON.stringify(wanted[name]))",
        arg=wanted,
        timeout=120_000,
    )
    return page.evaluate("window.twins.at(-1)")


def on_screen(page, row: float, column: float) -> tuple[float, float]:
    """A pixel of the canvas on the screen."""
    place, box = last(page)["place"], page.locator('[data-part="map"]').bounding_box()
    x = box["x"] + place["left"] + place["width"] * column / SIDE
    return x, box["y"] + place["top"] + place["height"] * row / SIDE


def drag(page, start, end):
    first, second = (on_screen(page, *place) for place in (start, end))
    page.mouse.move(*first)
    page.mouse.down()
    page.mouse.move(*second, steps=6)
    page.mouse.up()


def test_without_positions_the_curve_is_zero_and_with_them_it_is_not(copies):
    dots = last(copies)["dots"]
    bare = [dot["y"] for dot in dots if dot["variant"] == 1]
    full = [dot["y"] for dot in dots if dot["variant"] == 0]
    assert len(bare) == len(full) == 7
    assert bare[0] == max(bare) and full[0] < bare[0] - 5
    assert "by exactly 0 at the embedding" in copies.locator('[data-part="exact"]').inner_text()
    main = copies.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")


def test_a_copy_is_dragged_to_the_grid_and_never_over_another(copies):
    drag(copies, (20, 12), (20 + 2 * PATCH + 2, 12 + PATCH - 2))
    last(copies, places=[[32, 16], [96, 96]], old=False)
    copies.wait_for_url(re.compile("32.16_96.96"), timeout=30_000)
    drag(copies, (52, 28), (110, 110))
    found = last(copies, said="Another copy is there.")
    assert found["places"][1] == [96, 96] and found["places"][0] != [96, 96]


def test_keys_select_move_add_and_remove(copies):
    copies.locator('[data-part="map"]').focus()
    copies.keyboard.press("Tab")
    last(copies, selected=0)
    copies.keyboard.press("ArrowDown")
    last(copies, places=[[PATCH, 0], [96, 96]])
    copies.keyboard.press("Shift+ArrowRight")
    assert "~free~" in last(copies, places=[[PATCH, 1], [96, 96]])["layout"]
    copies.keyboard.press("n")
    assert len(last(copies, selected=2)["places"]) == 3
    copies.keyboard.press("Delete")
    last(copies, places=[[PATCH, 1], [96, 96]])
    copies.keyboard.press("Escape")
    last(copies, selected=-1, old=False)
    assert "different pixels" in copies.locator('[data-part="exact"]').inner_text()


def test_a_click_asks_about_a_patch_and_reads_its_twin(copies):
    copies.mouse.click(*on_screen(copies, 40, 8))
    last(copies, query="2,0", selected=0)
    copies.mouse.move(*on_screen(copies, 136, 104))
    last(copies, pointed="8,6")
    assert "same place of copies 1 and 2" in copies.locator('[data-part="facts"]').inner_text()
    copies.keyboard.press("v")
    assert 0 <= last(copies, variant=1)["chance"] <= 1
    copies.wait_for_url(re.compile("positions=without"), timeout=30_000)


def test_another_object_is_measured_and_downloads(copies):
    copies.locator('[data-part="object"]').select_option("photo:cat")
    copies.wait_for_function(
        "window.twins.at(-1).layout.startsWith('photo:cat~30') && !window.twins.at(-1).old",
        timeout=60_000,
    )
    with copies.expect_download(timeout=60_000) as got:
        copies.locator('[data-part="exports"] a[data-kind="picture"]').click()
    assert got.value.path().read_bytes().startswith(b"\x89PNG")


def test_in_the_dark_in_a_narrow_window(chromium, server):
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, color_scheme="dark")
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.extend(complaint(message)))
    open_copies(page, server)
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    for name in ("map", "differences", "chances"):
        assert page.locator(f'canvas[data-part="{name}"]').bounding_box()["width"] > 250
    context.close()
    assert problems == []


def test_script_is_one_module_with_unique_names():
    from pages._components.twins import FOLDER, MODULES

    assert {path.name for path in FOLDER.glob("*.js")} == {
        name for name in MODULES if not name.startswith("../")
    }
    names = re.findall(
        r"^(?:export )?(?:async )?(?:function|const|let) (\w+)",
        "\n".join((FOLDER / name).read_text() for name in MODULES),
        re.MULTILINE,
    )
    assert sorted(names) == sorted(set(names))
