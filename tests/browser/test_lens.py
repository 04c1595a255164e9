"""The lens in a real browser: what a person sees and can do."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tests.browser.driving import (
    ROOT,
    last_painted,
    open_lens,
    patch_position,
    start_server,
    stop,
    wait_for_query,
)

# The first page waits for imports and a model; a busy machine may take minutes for it.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def read_row(page, query: str, direction: str = "to"):
    """Metadata and one row as the routes give them: list of float arrays (heads, tokens)."""
    base = page.url.split("/?")[0] + last_painted(page)["address"]
    meta = page.request.get(base).json()
    body = page.request.get(f"{base}/row?q={query}&direction={direction}").body()
    values = np.frombuffer(body, "<f2").astype(np.float64)
    rows, at = [], 0
    for layer in meta["layers"]:
        tokens = len(layer["prefix"]) + layer["rows"] * layer["columns"]
        count = layer["heads"] * tokens
        rows.append(values[at : at + count].reshape(layer["heads"], tokens))
        at += count
    return meta, rows


def matrix_colours(page, layer: int, head: int, rows: int = 16, columns: int = 16):
    """Colours at the centres of the patches of one map, uint8 (rows, columns, 3)."""
    return np.array(
        page.evaluate(
            """([layer, head, rows, columns]) => {
                const canvas = document.querySelector('[data-testid="stMain"]')
                  .querySelectorAll('*');
                const hosts = [...canvas].filter((node) => node.shadowRoot);
                const root = hosts.map((node) => node.shadowRoot.querySelector('.matrix'))
                  .find(Boolean);
                const {left, top, gap, width, height} = window.painted.at(-1).layout;
                const ratio = window.devicePixelRatio;
                const context = root.getContext('2d');
                const x0 = left + head * (width + gap);
                const y0 = top + layer * (height + gap);
                const out = [];
                for (let r = 0; r < rows; r += 1) {
                  for (let c = 0; c < columns; c += 1) {
                    const x = Math.floor((x0 + ((c + 0.5) * width) / columns) * ratio);
                    const y = Math.floor((y0 + ((r + 0.5) * height) / rows) * ratio);
                    out.push([...context.getImageData(x, y, 1, 1).data.slice(0, 3)]);
                  }
                }
                return out;
            }""",
            [layer, head, rows, columns],
        ),
        dtype=np.uint8,
    ).reshape(rows, columns, 3)


def expected_colours(values: np.ndarray):
    from analytics.views.colours import paint

    return paint(values, "inferno", float(np.percentile(values, 99.5)))


def test_first_page_shows_picture_maps_and_numbers(lens):
    assert lens.title() == "Attention Atlas"
    assert lens.get_by_text("Under the cursor").is_visible()
    assert lens.locator(".matrix").bounding_box()["height"] > 400
    main = lens.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollHeight <= node.clientHeight")


def test_hover_repaints_every_map_from_the_row_of_that_patch(lens):
    before = matrix_colours(lens, 5, 2)
    lens.mouse.move(*patch_position(lens, 6, 10))
    wait_for_query(lens, "6,10")
    after = matrix_colours(lens, 5, 2)
    assert (before != after).any()
    meta, rows = read_row(lens, "6,10")
    prefix = len(meta["layers"][5]["prefix"])
    for layer, head in ((0, 0), (5, 2), (10, 5)):
        values = rows[layer][head][prefix:].reshape(16, 16)
        colours = matrix_colours(lens, layer, head).astype(int)
        # Rounding at the border of two colours may differ by one table entry.
        assert np.abs(colours - expected_colours(values)).max() <= 6


def test_panel_shows_the_raw_value_and_times_uniform(lens):
    lens.mouse.move(*patch_position(lens, 3, 4))
    wait_for_query(lens, "3,4")
    meta, rows = read_row(lens, "3,4")
    row = rows[-1][0]
    value = row[len(meta["layers"][-1]["prefix"]) + 3 * 16 + 4]
    facts = lens.locator('[data-part="facts"]').inner_text()
    shown = float(re.search(r"Attention there\s+([\d.e−-]+)", facts).group(1).replace("−", "-"))
    uniform = float(re.search(r"× uniform\s+([\d.e+]+)", facts).group(1))
    assert shown == pytest.approx(value, rel=0.05)
    assert uniform == pytest.approx(value * len(row), rel=0.02)


def test_attended_by_asks_for_the_column(lens):
    lens.mouse.move(*patch_position(lens, 8, 8))
    wait_for_query(lens, "8,8")
    lens.get_by_role("button", name="attended by").click()
    wait_for_query(lens, "8,8", "from")
    meta, columns = read_row(lens, "8,8", "from")
    values = columns[4][1][len(meta["layers"][4]["queryPrefix"]) :].reshape(16, 16)
    difference = matrix_colours(lens, 4, 1).astype(int) - expected_colours(values)
    assert np.abs(difference).max() <= 6


def test_click_pins_and_the_address_carries_the_view(lens):
    lens.mouse.click(*patch_position(lens, 7, 9))
    wait_for_query(lens, "7,9")
    lens.mouse.move(*patch_position(lens, 2, 2))
    lens.wait_for_timeout(200)
    assert last_painted(lens)["query"] == "7,9"
    lens.wait_for_url(re.compile(r"q=7(,|%2C)9"), timeout=10_000)
    assert "layer=11" in lens.url


def test_deep_link_on_a_fresh_server_finds_frame_patch_and_head(page, tmp_path):
    process, address = start_server(tmp_path / "data", tmp_path / "server.log")
    try:
        open_lens(page, address, "/?model=bundled&layer=3&head=5&q=7,9&dir=from&fit=pad")
        assert page.locator('[data-testid="stSidebar"]').get_by_text("Model").first.is_visible()
        assert page.locator('[data-testid="stSidebarNav"]').count() == 0
        painted = last_painted(page)
        assert (painted["query"], painted["direction"]) == ("7,9", "from")
        facts = page.locator('[data-part="facts"]')
        assert "L3 H5" in facts.inner_text()
        assert "patch 7,9, pinned" in facts.inner_text()
    finally:
        stop(process)


def test_a_link_brings_back_the_mean_of_heads_and_the_opacity(page, server):
    open_lens(page, server, "/?q=7,9&layer=2&head=1&heads=2:1,4:3,40:0&opacity=0.5")
    assert page.locator('[data-part="setText"]').inner_text() == "L2 H1, L4 H3"
    assert page.locator('[data-part="opacity"]').input_value() == "0.5"
    assert "40:0" in page.locator(".st-key-atlas_notes").inner_text()
    page.get_by_role("button", name="per map").focus()
    page.get_by_role("button", name="copy link").click()
    link = page.locator(".lens").get_attribute("data-link")
    assert "heads=2%3A1%2C4%3A3" in link
    assert "opacity=0.50" in link


def test_a_head_switched_off_changes_the_maps_after_it(page, server):
    open_lens(page, server, "/?model=test_vit:random&q=3,4&layer=2&head=1")
    before, whole = read_row(page, "3,4")
    assert before["off"] is None
    address = last_painted(page)["address"]
    page.keyboard.press("0")
    page.wait_for_function(
        "(old) => window.painted.at(-1).address !== old", arg=address, timeout=60_000
    )
    after, without = read_row(page, "3,4")
    assert after["off"]["heads"] == [[2, 1]]
    assert after["off"]["cls_shift"] > 0
    np.testing.assert_array_equal(whole[2], without[2])  # what it reads is as it was
    assert (whole[3] != without[3]).any()
    panel = page.locator('[data-part="panel"]')
    assert "Off: L2 H1" in panel.inner_text()
    page.wait_for_url(re.compile(r"off=2(:|%3A)1"), timeout=10_000)
    page.get_by_role("button", name="all on").click()
    page.wait_for_function(
        "(old) => window.painted.at(-1).address === old", arg=address, timeout=60_000
    )
    assert "Off:" not in panel.inner_text()


def test_a_link_with_a_head_that_is_not_there_shows_the_rest(page, server):
    open_lens(page, server, "/?model=test_vit:random&off=40:0")
    assert "got layer 40 head 0" in page.locator(".st-key-atlas_notes").inner_text()


def test_a_tap_pins_and_two_fingers_zoom(chromium, server):
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, has_touch=True)
    page = open_lens(context.new_page(), server)
    x, y = patch_position(page, 4, 11)
    page.touchscreen.tap(x, y)
    wait_for_query(page, "4,11")
    assert "patch 4,11, pinned" in page.locator('[data-part="facts"]').inner_text()
    fingers = context.new_cdp_session(page)
    for kind, reach in (
        ("touchStart", 20),
        ("touchMove", 45),
        ("touchMove", 80),
        ("touchEnd", None),
    ):
        points = [] if reach is None else [{"x": x - reach, "y": y}, {"x": x + reach, "y": y}]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    badge = page.locator('[data-part="zoom"]')
    badge.wait_for(state="visible")
    assert float(badge.inner_text().split()[0]) > 1.5
    context.close()


def test_a_bad_link_gives_notes_and_defaults(page, server):
    open_lens(page, server, "/?q=99,99&layer=44&dir=sideways&image=0123456789abcdef")
    notes = page.locator(".st-key-atlas_notes").inner_text()
    assert "99,99" in notes
    assert "layers 0 to 11" in notes
    assert "not stored on this server" in notes
    assert "L11 H0" in page.locator('[data-part="facts"]').inner_text()


def test_keys_step_heads_move_the_query_and_list_themselves(lens):
    lens.mouse.click(*patch_position(lens, 5, 5))
    wait_for_query(lens, "5,5")
    facts = lens.locator('[data-part="facts"]')
    lens.keyboard.press("ArrowUp")
    lens.keyboard.press("ArrowRight")
    lens.wait_for_timeout(100)
    assert "L10 H1" in facts.inner_text()
    lens.keyboard.press("d")
    wait_for_query(lens, "5,6")
    lens.keyboard.press("Shift+ArrowDown")
    wait_for_query(lens, "6,6")
    lens.keyboard.press("?")
    lens.get_by_role("dialog").get_by_text("layer and head").wait_for(state="visible")
    lens.keyboard.press("Escape")
    lens.locator('[data-part="help"]').wait_for(state="hidden")
    spoken = lens.locator('[data-part="spoken"]')
    lens.wait_for_timeout(500)
    assert re.match(
        r"patch 6,6, pinned; layer 10 head 1; attention .*strongest key patch", spoken.inner_text()
    )


def test_everything_is_reached_by_the_tab_key(lens):
    lens.locator(".lens").focus()
    seen = set()
    for _ in range(24):
        lens.keyboard.press("Tab")
        seen.add(
            lens.evaluate(
                "(() => { let node = document.activeElement;"
                " while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;"
                " return node?.textContent || node?.ariaLabel || ''; })()"
            )
        )
    assert {"cls", "attended by", "per map", "SVG", "copy link"} <= {text.strip() for text in seen}


def test_wheel_zooms_and_escape_goes_back(lens):
    lens.mouse.move(*patch_position(lens, 8, 8))
    lens.mouse.wheel(0, -600)
    badge = lens.locator('[data-part="zoom"]')
    badge.wait_for(state="visible")
    assert float(badge.inner_text().split()[0]) > 1.5
    lens.keyboard.press("Escape")
    badge.wait_for(state="hidden")


def test_shift_click_takes_heads_into_a_mean(lens):
    layout = last_painted(lens)["layout"]
    box = lens.locator(".matrix").bounding_box()
    for layer, head in ((2, 1), (4, 3)):
        lens.mouse.move(
            box["x"] + layout["left"] + head * (layout["width"] + layout["gap"]) + 10,
            box["y"] + layout["top"] + layer * (layout["height"] + layout["gap"]) + 10,
        )
        lens.keyboard.down("Shift")
        lens.mouse.down()
        lens.mouse.up()
        lens.keyboard.up("Shift")
    lens.wait_for_timeout(100)
    assert lens.locator('[data-part="setText"]').inner_text() == "L2 H1, L4 H3"
    assert "Mean attention of 2 heads" in lens.locator('[data-part="caption"]').inner_text()
    assert "heads=L2H1%2CL4H3" in lens.locator('a[data-kind="svg"]').get_attribute("href")


def test_overlays_of_norms_and_features_name_themselves(lens):
    lens.get_by_role("button", name="norms").click()
    caption = lens.locator('[data-part="caption"]')
    lens.wait_for_timeout(200)
    assert caption.inner_text().startswith("Norm of patch tokens after L11")
    lens.get_by_role("button", name="features").click()
    lens.wait_for_timeout(200)
    assert "principal components" in caption.inner_text()


def test_export_links_download_this_view(lens):
    lens.mouse.click(*patch_position(lens, 7, 9))
    wait_for_query(lens, "7,9")
    with lens.expect_download(timeout=30_000) as got:
        lens.locator('a[data-kind="json"]').click()
    words = json.loads(got.value.path().read_text())
    assert "7,9" in json.dumps(words)


def test_dark_theme_reaches_the_instrument(chromium, server):
    context = chromium.new_context(viewport={"width": 1024, "height": 768}, color_scheme="dark")
    page = context.new_page()
    open_lens(page, server)
    colour = page.locator(".lens").evaluate("(node) => getComputedStyle(node).color")
    assert min(int(part) for part in re.findall(r"\d+", colour)[:3]) > 180
    main = page.locator('[data-testid="stMain"]')
    assert main.evaluate("(node) => node.scrollHeight <= node.clientHeight + 1")
    context.close()


def drop(page, data: bytes, name: str, kind: str):
    page.locator(".lens").evaluate(
        """(node, [bytes, name, kind]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, {type: kind}));
            for (const event of ['dragover', 'drop']) {
              node.dispatchEvent(new DragEvent(event, {dataTransfer: transfer, bubbles: true,
                cancelable: true, composed: true}));
            }
        }""",
        [list(data), name, kind],
    )


def small_picture() -> bytes:
    import io

    from PIL import Image

    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, 48:] = (200, 120, 40)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_dropped_picture_is_looked_at(lens):
    import hashlib

    data = small_picture()
    drop(lens, data, "halves.png", "image/png")
    lens.wait_for_url(re.compile(f"image={hashlib.sha256(data).hexdigest()}"), timeout=30_000)
    lens.wait_for_function(
        "new Set(window.painted.map((one) => one.address)).size > 1", timeout=60_000
    )
    meta, _ = read_row(lens, "cls")
    assert meta["picture"]["name"] == "halves.png"
    terms = lens.locator('[data-part="facts"] dt').all_inner_texts()
    assert len(terms) == len(set(terms))


def test_a_bad_drop_says_why_and_keeps_the_view(chromium, server):
    # A refused upload is an error in the browser's own network log: another page than `page`.
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = open_lens(context.new_page(), server)
    drop(page, b"this is no picture at all", "notes.png", "image/png")
    message = page.locator('[data-part="message"]')
    message.wait_for(state="visible", timeout=10_000)
    assert "notes.png" in message.inner_text()
    assert page.locator(".matrix").is_visible()
    context.close()


def test_script_is_one_module_with_unique_names():
    names = re.findall(
        r"^(?:export )?(?:async )?(?:function|const|let) (\w+)",
        "\n".join(
            path.read_text()
            for path in (ROOT / "pages/_components/lens").glob("*.js")
            if path.name != "gallery.js"
        ),
        re.MULTILINE,
    )
    assert sorted(names) == sorted(set(names))
