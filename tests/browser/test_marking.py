"""Marking objects in a real browser: drawing, undoing, handing in, and what the map then knows."""

from __future__ import annotations

import pytest

from tests.browser.conftest import complaint

# The first page waits for imports and a model; a busy machine may take minutes for it.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def easel(page, server):
    """The drawing tool on the first photograph, with the grid of a small model."""
    problems: list[str] = []
    page.on("console", lambda message: problems.extend(complaint(message)))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.add_init_script(
        "window.marks = []; window.maps = [];"
        "addEventListener('marking:painted', (event) => window.marks.push(event.detail));"
        "addEventListener('binding:painted', (event) => window.maps.push(event.detail));"
    )
    page.goto(f"{server}/binding?model=test_vit:random&view=marking")
    page.wait_for_function("window.marks.at(-1)?.place.width > 0", timeout=240_000)
    # Once a first probe is fitted, the tool knows the model's patches.
    page.wait_for_function(
        "document.querySelector('[data-testid=\"stSidebar\"]').innerText.includes('patches')",
        timeout=240_000,
    )
    yield page
    assert problems == []


def stroke(page, *places):
    box = page.locator('.marking [data-part="canvas"]').bounding_box()
    at = page.evaluate("window.marks.at(-1).place")
    spots = [
        (box["x"] + at["left"] + u * at["width"], box["y"] + at["top"] + v * at["height"])
        for u, v in places
    ]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=4)
    page.mouse.up()


def wait_for(page, condition: str):
    page.wait_for_function(f"(() => {{ const last = window.marks.at(-1); return {condition}; }})()")
    return page.evaluate("window.marks.at(-1)")


def test_objects_are_drawn_undone_and_known_to_the_map(easel):
    wait_for(easel, "last.objects.length === 0")
    stroke(easel, (0.35, 0.3), (0.65, 0.3), (0.65, 0.34), (0.35, 0.34))
    wait_for(easel, "last.objects.join() === '1'")
    easel.keyboard.press("2")
    easel.keyboard.press("l")
    stroke(easel, (0.3, 0.6), (0.7, 0.6), (0.7, 0.95), (0.3, 0.95), (0.3, 0.62))
    last = wait_for(easel, "last.objects.join() === '1,2' && last.owned.length > 0")
    assert dict(last["owned"])[2] >= 6
    easel.keyboard.press("Control+z")
    wait_for(easel, "last.objects.join() === '1'")
    easel.keyboard.press("Control+Shift+Z")
    wait_for(easel, "last.objects.join() === '1,2'")
    easel.keyboard.press("Enter")
    easel.wait_for_function("window.maps.at(-1)?.picture", timeout=120_000)
    easel.wait_for_function("location.search.includes('marks=')")
    assert easel.locator('[data-part="truthButton"]').is_visible()
    assert "objects that were marked" in easel.locator('[data-part="words"]').inner_text()


def test_a_drawing_survives_a_reload_and_can_be_erased(easel):
    stroke(easel, (0.4, 0.4), (0.6, 0.4), (0.6, 0.5))
    wait_for(easel, "last.objects.join() === '1'")
    easel.reload()
    easel.wait_for_function("window.marks.at(-1)?.objects.join() === '1'", timeout=120_000)
    easel.keyboard.press("Delete")
    wait_for(easel, "last.objects.length === 0")
    assert easel.locator('[data-part="use"]').is_disabled()
