"""The Subspace view in a real browser: what a person sees and can do."""

from __future__ import annotations

import csv
import io
import re

import pytest

from tests.browser.conftest import complaint

# The first page waits for imports and a model; a busy machine may take minutes for it.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

SIDE = 10
SCENE = "?view=subspace&model=test_vit:random&scene=one-colour:3"


def open_subspace(page, address, query=SCENE):
    """Open the view and wait for its cloud; paintings are kept in `window.spaces`."""
    page.add_init_script(
        "window.spaces = [];"
        "addEventListener('subspace:painted', (event) => window.spaces.push(event.detail));"
    )
    page.goto(f"{address}/binding{query}")
    page.wait_for_function("window.spaces.at(-1)?.layout", timeout=240_000)
    return page


def painted(page, **wanted):
    """The last painting, once it says so and nothing moves."""
    page.wait_for_function(
        "(wanted) => { const last = window.spaces.at(-1); return last && !last.moving"
        " && Object.keys(wanted).every((name) => last[name] === wanted[name]); }",
        arg=wanted,
        timeout=30_000,
    )
    return page.evaluate("window.spaces.at(-1)")


@pytest.fixture
def space(page, server):
    """The view with a small model on a made scene."""
    return open_subspace(page, server)


def dot_place(page, patch: int) -> tuple[float, float]:
    """A patch's point in the cloud, on the screen."""
    x, y = painted(page)["dots"][patch]
    box = page.locator('[data-part="cloud"]').bounding_box()
    return box["x"] + x, box["y"] + y


def patch_place(page, row: int, column: int) -> tuple[float, float]:
    place, box = painted(page)["place"], page.locator('[data-part="photo"]').bounding_box()
    x = box["x"] + place["left"] + place["width"] * (column + 0.5) / SIDE
    return x, box["y"] + place["top"] + place["height"] * (row + 0.5) / SIDE


def foremost(page) -> int:
    """A patch whose point no other covers: that farthest to the right."""
    dots = painted(page)["dots"]
    return max(range(len(dots)), key=lambda patch: dots[patch][0])


def test_the_view_fits_the_window_and_hover_is_linked_both_ways(space):
    main = space.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")
    patch = foremost(space)
    space.mouse.move(*dot_place(space, patch))
    name = f"{patch // SIDE},{patch % SIDE}"
    painted(space, pointed=name)
    assert name in space.locator('[data-part="facts"]').inner_text()
    space.mouse.move(*patch_place(space, 4, 3))
    painted(space, pointed="4,3")
    space.mouse.click(*patch_place(space, 4, 3))
    painted(space, pinned="4,3")
    space.wait_for_url(re.compile("patch=4%2C3"), timeout=30_000)


def test_steps_and_axes_move_points_and_drag_turns_them(space):
    first = painted(space)
    space.keyboard.press("ArrowRight")
    after = painted(space, point=first["point"] + 1)
    assert after["dots"] != first["dots"]
    space.mouse.move(*dot_place(space, foremost(space)))
    box = space.locator('[data-part="cloud"]').bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    space.mouse.move(*middle)
    space.mouse.down()
    space.mouse.move(middle[0] + 60, middle[1] + 20, steps=4)
    space.mouse.up()
    assert painted(space)["dots"] != after["dots"]
    space.mouse.wheel(0, -200)
    space.wait_for_function("window.spaces.at(-1).zoom > 1.1")
    space.keyboard.press("2")
    flat = painted(space, flat=True)
    space.keyboard.press("0")
    painted(space, flat=True, zoom=1)
    assert flat["dots"] != after["dots"]
    space.wait_for_url(re.compile("axes=2"), timeout=30_000)


def test_parts_and_colours_stand_in_the_address(space):
    space.locator('[data-do="part"][data-value="stream"]').click()
    painted(space, part="stream")
    space.locator('[data-part="tint"]').select_option("position")
    painted(space, tint="position")
    space.wait_for_url(re.compile("part=stream.*tint=position"), timeout=30_000)


def test_the_table_downloads_and_the_scene_opens_in_the_lens(space):
    with space.expect_download(timeout=60_000) as got:
        space.locator('[data-part="exports"] a[data-kind="csv"]').click()
    rows = list(csv.DictReader(io.StringIO(got.value.path().read_text())))
    assert len(rows) == SIDE * SIDE and "binding_pc3" in rows[0]
    space.evaluate(
        "window.painted = [];"
        "addEventListener('lens:painted', (event) => window.painted.push(event.detail))"
    )
    space.get_by_role("button", name="open in the lens").click()
    space.wait_for_function("window.painted.length > 0", timeout=120_000)
    assert "/binding" not in space.url


def test_a_photograph_in_the_dark_and_a_narrow_window_offers_a_scene(chromium, server):
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, color_scheme="dark")
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.extend(complaint(message)))
    open_subspace(page, server, "?view=subspace&model=test_vit:random")
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    assert painted(page)["tint"] == "position"
    for name in ("cloud", "photo"):
        box = page.locator(f'canvas[data-part="{name}"]').bounding_box()
        assert box["width"] > 250 and box["y"] + box["height"] < 768
    assert "Nobody has marked" in page.locator('[data-part="words"]').inner_text()
    page.locator('[data-do="scene"]').click()
    page.wait_for_url(re.compile("scene="), timeout=60_000)
    painted(page, tint="object")
    context.close()
    assert problems == []


def test_script_is_one_module_with_unique_names():
    from pages._components.lens import joined
    from pages._components.subspace import FOLDER, MODULES

    assert {path.name for path in FOLDER.glob("*.js")} == {
        name for name in MODULES if not name.startswith("../")
    }
    names = re.findall(
        r"^(?:async )?(?:function|const|let) (\w+)", joined(MODULES, FOLDER), re.MULTILINE
    )
    assert len(names) > 100 and sorted(names) == sorted(set(names))
