"""The Patterns instrument in a real browser, on made atlases: what a person sees and can do."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import numpy as np
import pytest

from tests.browser.conftest import complaint
from tests.browser.driving import listen_to_patterns, patterns_painted, start_server, stop
from tests.made_atlas import make_atlas
from tests.made_atlas_app import SIZES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with made atlases only."""
    folder = tmp_path_factory.mktemp("made")
    app = "tests.made_atlas_app:app"
    process, address = start_server(folder / "data", folder / "server.log", app)
    yield address
    stop(process)


@pytest.fixture(scope="module")
def atlases():
    """The atlases that the server shows."""
    return {name: make_atlas(**size, seed=i) for i, (name, size) in enumerate(SIZES.items())}


def open_made(page, address: str, name: str = "small"):
    listen_to_patterns(page)
    page.goto(f"{address}/?atlas={name}")
    page.wait_for_function("window.patterns.length > 0", timeout=120_000)
    return page


@pytest.fixture
def plane(page, made):
    return open_made(page, made)


def wait_for(page, **wanted):
    """Until the last painting says so."""
    page.wait_for_function(
        "(wanted) => { const last = window.patterns.at(-1);"
        " return last && Object.keys(wanted).every((name) => last[name] === wanted[name]); }",
        arg=wanted,
        timeout=15_000,
    )
    return patterns_painted(page)


def dot_position(page, head: int) -> tuple[float, float]:
    """A head's dot on the screen."""
    box = page.locator('[data-part="plane"]').bounding_box()
    x, y = patterns_painted(page)["dots"][head]
    return box["x"] + x, box["y"] + y


def facts(page) -> str:
    return page.locator('[data-part="facts"]').inner_text()


def test_everything_is_visible_without_scrolling(plane):
    for name in ("plane", "fits", "counts", "real", "exports"):
        box = plane.locator(f'[data-part="{name}"]').bounding_box()
        assert box["y"] + box["height"] <= 900 and box["x"] + box["width"] <= 1440
    assert plane.locator('[data-part="plane"]').bounding_box()["height"] > 400
    fits = plane.locator('[data-part="fits"]').inner_text()
    assert ".68" in fits and ".44" in fits
    assert "Autoencoder in use" in plane.locator('[data-part="fitTitle"]').inner_text()


def test_hover_reads_a_head_and_a_click_selects_it(plane, atlases):
    heads = atlases["small"].heads
    plane.mouse.move(*dot_position(plane, 4))
    wait_for(plane, pointedHead=4)
    _, layer, head = heads[4]
    assert re.search(rf"Head\s+L{layer} H{head}\b", facts(plane))
    plane.mouse.click(*dot_position(plane, 4))
    wait_for(plane, layer=layer, head=head)
    assert f"L{layer} H{head}" in plane.locator('[data-part="chosenHead"]').inner_text()


def test_the_map_under_the_cursor_is_the_real_one_beside_its_reconstruction(plane, atlases):
    atlas = atlases["small"]
    plane.mouse.click(*dot_position(plane, 2))
    _, layer, head = atlas.heads[2]
    wait_for(plane, layer=layer, head=head)
    plane.locator('[data-part="pairMaps"]:not(.waiting)').wait_for()
    plane.wait_for_timeout(200)
    row = atlas.point(0, 0, layer, head)
    from analytics.views.colours import table
    from tests.made_atlas_app import made_maps

    real, _, rebuilt, _ = made_maps(None, atlas, row)
    for name, values in (("real", real), ("rebuilt", rebuilt)):
        found = plane.locator(f'[data-part="{name}"]').evaluate(
            "(c) => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        )
        pixels = np.array(found, int).reshape(atlas.side, atlas.side, 4)[..., :3]
        np.testing.assert_array_equal(pixels, table("inferno")[values])
    error = re.search(r"Error\s+([\d.]+)", facts(plane)).group(1)
    assert float(error) == pytest.approx(atlas.error[row], rel=0.01)


def test_the_wheel_zooms_at_the_cursor_and_dragging_moves(plane):
    before = dot_position(plane, 5)
    plane.mouse.move(*before)
    plane.mouse.wheel(0, -300)
    plane.wait_for_function("window.patterns.at(-1).view.zoom > 1.2")
    assert dot_position(plane, 5) == pytest.approx(before, abs=0.5)
    box = plane.locator('[data-part="plane"]').bounding_box()
    plane.mouse.move(box["x"] + 15, box["y"] + 15)
    plane.mouse.down()
    plane.mouse.move(box["x"] + 75, box["y"] + 55, steps=4)
    plane.mouse.up()
    plane.wait_for_timeout(100)
    after = dot_position(plane, 5)
    # The first few pixels only decide that it is no click.
    assert after == pytest.approx((before[0] + 60, before[1] + 40), abs=0.5)
    plane.keyboard.press("0")
    plane.wait_for_function("window.patterns.at(-1).view.zoom === 1")
    assert dot_position(plane, 5) == pytest.approx(before, abs=0.5)


def test_a_line_around_points_counts_and_saves_them(plane, atlases):
    atlas = atlases["small"]
    box = plane.locator('[data-part="plane"]').bounding_box()
    corners = [(3, 3), (box["width"] - 3, 3), (box["width"] - 3, box["height"] - 3)]
    corners += [(3, box["height"] - 3)]
    plane.keyboard.down("Shift")
    plane.mouse.move(box["x"] + 3, box["y"] + 3)
    plane.mouse.down()
    for x, y in corners[1:]:
        plane.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    plane.mouse.up()
    plane.keyboard.up("Shift")
    found = wait_for(plane, selected=atlas.count)
    assert found["view"]["zoom"] == 1  # the plane stood still
    counts = plane.locator('[data-part="counts"]').inner_text()
    for layer in range(4):
        assert re.search(rf"L{layer}\s+15\b", counts)  # 3 heads on 5 images
    with plane.expect_download(timeout=15_000) as got:
        plane.locator('[data-part="save"]').click()
    rows = list(csv.DictReader(io.StringIO(got.value.path().read_text())))
    assert len(rows) == atlas.count
    assert {row["image"] for row in rows} == {image.name for image in atlas.images}
    first = next(r for r in rows if (r["layer"], r["head"], r["image"]) == ("1", "2", "made 3.png"))
    row = atlas.point(0, 3, 1, 2)
    assert float(first["x"]) == pytest.approx(float(atlas.x[row]))
    plane.keyboard.press("Escape")
    wait_for(plane, selected=0)


def test_keys_step_and_list_themselves(plane):
    plane.mouse.click(*dot_position(plane, 0))
    wait_for(plane, layer=0, head=0)
    for key, wanted in (
        ("ArrowDown", {"layer": 1, "head": 0}),
        ("ArrowRight", {"layer": 1, "head": 1}),
        ("ArrowLeft", {"layer": 1, "head": 0}),
        ("ArrowLeft", {"layer": 1, "head": 0}),
        ("d", {"image": f"{1:064x}"}),
        ("a", {"image": f"{0:064x}"}),
    ):
        plane.keyboard.press(key)
        wait_for(plane, **wanted)
    plane.keyboard.press("p")
    plane.locator('[data-show="patterns"][aria-pressed="false"]').wait_for()
    plane.keyboard.press("?")
    plane.get_by_role("dialog").get_by_text("layer and head").wait_for(state="visible")
    plane.keyboard.press("Escape")
    plane.locator('[data-part="help"]').wait_for(state="hidden")


def test_the_layout_and_the_lens_are_asked_for(plane):
    plane.locator('[data-layout="umap"]').click()
    plane.get_by_text("layout: umap").wait_for(timeout=15_000)
    plane.get_by_role("button", name="open in the lens").click()
    plane.get_by_text(re.compile(r"lens: .*layer")).wait_for(timeout=15_000)


def test_real_heads_on_the_page_itself_open_in_the_lens(page, server):
    listen_to_patterns(page)
    page.goto(f"{server}/patterns?model=test_vit:random&layer=2&head=1")
    page.wait_for_function("window.patterns.length > 0", timeout=240_000)
    assert patterns_painted(page)["layer"] == 2 and patterns_painted(page)["head"] == 1
    assert "96 points" in page.locator('[data-part="caption"]').inner_text()
    page.locator('[data-part="pairMaps"]:not(.waiting)').wait_for()
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")
    page.keyboard.press("ArrowUp")
    page.wait_for_url(re.compile(r"layer=1.*head=1"), timeout=10_000)
    page.get_by_role("button", name="open in the lens").click()
    page.wait_for_url(lambda url: "/patterns" not in url, timeout=60_000)
    page.locator(".lens:not(.patterns) [data-part=facts]").get_by_text("L1 H1").wait_for()


def test_two_models_have_marks_and_a_table_of_their_own(page, made, atlases):
    open_made(page, made, "two")
    table = page.locator('[data-part="counts"]').inner_text()
    assert "Made model 1" in table and "Made model 2" in table
    atlas = atlases["two"]
    main = {}
    for i, one in enumerate(atlas.heads):
        rows = [atlas.point(one[0], image, *one[1:]) for image in range(5)]
        main[i] = np.bincount(atlas.cluster[rows]).argmax()
    for cluster, name in enumerate(atlas.cluster_names):
        counts = [
            sum(main[i] == cluster for i, one in enumerate(atlas.heads) if one[0] == model)
            for model in (0, 1)
        ]
        assert re.search(rf"{name}\s+{counts[0]}\s+{counts[1]}\s", table)


def test_one_picture_one_head_a_layer_and_a_head_without_maps(page, made):
    open_made(page, made, "gaps")
    dots = patterns_painted(page)["dots"]
    assert [all(np.isfinite(np.array(dot, float))) for dot in dots] == [True, False, True, True]
    assert "1 image" in page.locator('[data-part="count"]').inner_text()
    assert "not finite" in page.locator('[data-part="notes"]').inner_text()
    page.mouse.click(*dot_position(page, 0))
    wait_for(page, layer=0, head=0)
    page.mouse.move(700, 20)
    page.keyboard.press("ArrowDown")
    wait_for(page, layer=1, head=0, pointedHead=-1)
    assert re.search(r"Head\s+none", facts(page))
    assert page.locator('[data-part="real"]').evaluate("(canvas) => canvas.width") == 1  # hatched
    page.keyboard.press("ArrowDown")
    wait_for(page, layer=2, head=0)


def test_dark_and_narrow_without_errors(chromium, made):
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, color_scheme="dark")
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.extend(complaint(message)))
    open_made(page, made)
    corner = page.locator('[data-part="plane"]').evaluate(
        "(c) => [...c.getContext('2d').getImageData(2, 2, 1, 1).data.slice(0, 3)]"
    )
    assert max(corner) < 60
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    box = page.locator('[data-part="plane"]').bounding_box()
    assert box["width"] > 400 and box["y"] + box["height"] < 768
    context.close()
    assert problems == []


def test_script_is_one_module_with_unique_names():
    from pages._components.patterns import FOLDER, MODULES

    assert {path.name for path in FOLDER.glob("*.js")} == {
        name for name in MODULES if not name.startswith("../")
    }
    names = re.findall(
        r"^(?:export )?(?:async )?(?:function|const|let) (\w+)",
        "\n".join((FOLDER / name).read_text() for name in MODULES),
        re.MULTILINE,
    )
    assert sorted(names) == sorted(set(names))
