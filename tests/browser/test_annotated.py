"""The Data view in a real browser: a gallery, its threshold, and a picture that is looked at."""

from __future__ import annotations

import csv
import io
import re

import pytest

from tests.browser.conftest import complaint
from tests.io.annotated_making import halves, palette, photo, zipped

# The first page waits for imports and a model; a busy machine may take minutes for it.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

QUERY = "?model=test_vit:random&view=annotated"


def open_gallery(page, server: str, query: str = QUERY):
    """Open the view and wait for its pictures; paintings are kept in `window.galleries`."""
    page.add_init_script(
        "window.galleries = [];"
        "addEventListener('annotated:painted', (event) => window.galleries.push(event.detail));"
    )
    page.goto(f"{server}/binding{query}")
    page.wait_for_function(
        "window.galleries.at(-1)?.tiles.every((tile) => tile.ready)", timeout=240_000
    )
    return page


@pytest.fixture
def gallery(page, server):
    """Made scenes of one family."""
    return open_gallery(page, server, f"{QUERY}&family=one-colour")


def painted(shown, /, **wanted):
    """The last painting, once it says so."""
    shown.wait_for_function(
        "(wanted) => { const last = window.galleries.at(-1);"
        " return last && last.tiles.every((tile) => tile.ready)"
        " && Object.keys(wanted).every((name) => last[name] === wanted[name]); }",
        arg=wanted,
        timeout=60_000,
    )
    return shown.evaluate("window.galleries.at(-1)")


def filled(found) -> int:
    return sum(tile["filled"] for tile in found["tiles"])


def test_the_gallery_fits_the_window(gallery):
    main = gallery.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")
    assert gallery.locator(".tile canvas").count() == 12
    boxes = [one.bounding_box() for one in gallery.locator(".tile").all()]
    assert max(box["y"] + box["height"] for box in boxes) <= 900


def test_the_threshold_is_answered_without_a_request(gallery):
    before = painted(gallery, purity=0.6)
    asked = []
    gallery.on("request", lambda request: asked.append(request.url))
    for _ in range(6):
        gallery.keyboard.press("+")
    after = painted(gallery, purity=0.9)
    assert 0 < filled(after) < filled(before)
    kept = gallery.locator('[data-part="remains"]').inner_text()
    assert f"{filled(after):,} (" in kept
    gallery.locator('[data-part="background"]').click()
    counted = painted(gallery, purity=0.9, background=True)
    assert filled(counted) > filled(before)
    assert [url for url in asked if "/atlas/" in url] == []
    gallery.wait_for_url(re.compile("purity=0.90.*background=1|background=1.*purity=0.90"))


def test_pages_of_scenes_follow_each_other(gallery):
    first = [tile["name"] for tile in painted(gallery, page=0)["tiles"]]
    assert first == [f"one-colour {900_000 + number}" for number in range(12)]
    gallery.keyboard.press("PageDown")
    gallery.locator(".tile span").filter(has_text="one colour 12").wait_for(timeout=60_000)
    second = [tile["name"] for tile in painted(gallery, page=1)["tiles"]]
    assert second == [f"one-colour {900_012 + number}" for number in range(12)]


def test_a_click_makes_a_scene_the_subject(gallery):
    tile = gallery.locator(".tile").nth(4)
    tile.locator("canvas").hover()
    assert "one colour 4" in gallery.locator('[data-part="facts"]').inner_text()
    tile.click()
    painted(gallery, looked=4)
    gallery.wait_for_url(re.compile("scene=one-colour%3A4"), timeout=60_000)
    assert tile.get_attribute("aria-pressed") == "true"


def test_a_set_is_uploaded_looked_at_and_exported(page, server, tmp_path):
    folder = tmp_path / "set"
    for number in range(3):
        photo(folder / "images" / f"{number}.png", 64, 64, 60 + number)
        palette(folder / "masks" / f"{number}.png", halves(64, 64))
    open_gallery(page, server)
    page.get_by_text("Add annotated pictures").click()
    box = page.locator('[data-testid="stPopoverBody"] input[type=file]')
    box.set_input_files({"name": "x.pkl", "mimeType": "", "buffer": b"\x80\x04index"})
    page.get_by_text("a pickle can run any program").wait_for(timeout=60_000)
    # The uploader is drawn anew once the file was taken.
    page.locator('[data-testid="stFileUploaderFile"]').wait_for(state="detached", timeout=60_000)
    box.set_input_files(str(zipped(folder)))
    found = painted(page, title="set.zip")
    assert [tile["name"] for tile in found["tiles"]] == [f"images/{n}.png" for n in range(3)]
    page.keyboard.press("Escape")
    page.locator(".tile").nth(1).click()
    painted(page, looked=1)
    page.wait_for_url(re.compile("marks=[0-9a-f]{16}"), timeout=60_000)
    with page.expect_download(timeout=60_000) as got:
        page.locator('.annotated [data-part="exports"] a[data-kind="csv"]').click()
    rows = list(csv.DictReader(io.StringIO(got.value.path().read_text())))
    assert [row["objects_kept"] for row in rows] == ["2", "2", "2"]


def test_a_narrow_window_in_the_dark(chromium, server):
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, color_scheme="dark")
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.extend(complaint(message)))
    open_gallery(page, server)
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    boxes = [one.bounding_box() for one in page.locator(".tile").all()]
    assert len(boxes) == 11 and max(box["y"] + box["height"] for box in boxes) < 768
    context.close()
    assert problems == []


def test_script_is_one_module_with_unique_names():
    from pages._components.annotated import FOLDER, MODULES

    assert {path.name for path in FOLDER.glob("*.js")} == {
        name for name in MODULES if not name.startswith("../")
    }
    names = re.findall(
        r"^(?:export )?(?:async )?(?:function|const|let) (\w+)",
        "\n".join((FOLDER / name).read_text() for name in MODULES),
        re.MULTILINE,
    )
    assert sorted(names) == sorted(set(names))
