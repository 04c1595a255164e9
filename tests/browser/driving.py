"""How the browser tests start the app and find their way on the page."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(
    data: Path, log: Path, app: str = "app:app"
) -> tuple[subprocess.Popen[bytes], str]:
    """Start the app on a free port and wait until it answers."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port)]
    environment = {**os.environ, "ATTENTION_ATLAS_DATA": str(data), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as sink:
        server = subprocess.Popen(
            [*command, "--log-level", "warning"],
            cwd=ROOT,
            env=environment,
            stdout=sink,
            stderr=sink,
        )
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{address}/atlas/health", timeout=5):
                return server, address
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.1)
    server.kill()
    raise AssertionError(f"the server did not start:\n{log.read_text()[-2000:]}")


def stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()


def open_lens(page, address: str, query: str = ""):
    """Open the lens and wait for its first painted row; paintings are kept in `window.painted`."""
    page.add_init_script(
        "window.painted = [];"
        "addEventListener('lens:painted', (event) => window.painted.push(event.detail));"
    )
    page.goto(address + query)
    page.wait_for_function("window.painted.length > 0", timeout=240_000)
    return page


def open_heads(page, address: str, query: str = "?model=test_vit:random"):
    """Open the Heads page and wait for its charts; paintings are kept in `window.heads`."""
    listen_to_heads(page)
    page.goto(f"{address}/heads{query}")
    page.wait_for_function("window.heads.length > 0", timeout=240_000)
    return page


def listen_to_heads(page):
    page.add_init_script(
        "window.heads = [];"
        "addEventListener('heads:painted', (event) => window.heads.push(event.detail));"
    )


def listen_to_patterns(page):
    """Keep paintings of the Patterns page in `window.patterns`."""
    page.add_init_script(
        "window.patterns = [];"
        "addEventListener('patterns:painted', (event) => window.patterns.push(event.detail));"
    )


def patterns_painted(page):
    return page.evaluate("window.patterns.at(-1)")


def heads_painted(page):
    return page.evaluate("window.heads.at(-1)")


def cell_position(page, layer: int, head: int) -> tuple[float, float]:
    """Middle of a head's cell in the matrix of the Heads page, on the screen."""
    layout, box = heads_painted(page)["layout"], page.locator(".headGrid").bounding_box()
    x = box["x"] + layout["left"] + head * (layout["width"] + layout["gap"])
    y = box["y"] + layout["top"] + layer * (layout["height"] + layout["gap"])
    return x + layout["width"] / 2, y + layout["height"] / 2


def open_strength(page, address: str, query: str = "?model=test_vit:random"):
    """Open the Strength page and wait for its charts; paintings are kept in `window.strength`."""
    listen_to_strength(page)
    page.goto(f"{address}/strength{query}")
    page.wait_for_function("window.strength.length > 0", timeout=240_000)
    return page


def listen_to_strength(page):
    page.add_init_script(
        "window.strength = [];"
        "addEventListener('strength:painted', (event) => window.strength.push(event.detail));"
    )


def strength_painted(page):
    return page.evaluate("window.strength.at(-1)")


def dot_position(page, index: int) -> tuple[float, float]:
    """A head's dot in the chart by layer of the Strength page, on the screen."""
    x, y = strength_painted(page)["dots"][index]
    box = page.locator('[data-part="byLayer"]').bounding_box()
    return box["x"] + x, box["y"] + y


def open_flow(page, address: str, query: str = "?model=test_vit:random"):
    """Open the Flow page and wait for its maps; paintings are kept in `window.flows`."""
    page.add_init_script(
        "window.flows = [];"
        "addEventListener('flow:painted', (event) => window.flows.push(event.detail));"
    )
    page.goto(f"{address}/flow{query}")
    page.wait_for_function("window.flows.length > 0", timeout=240_000)
    return page


def open_binding(page, address: str, query: str = "?model=test_vit:random&scene=one-colour:3"):
    """Open the Binding page and wait for its map; paintings are kept in `window.bindings`."""
    page.add_init_script(
        "window.bindings = [];"
        "addEventListener('binding:painted', (event) => window.bindings.push(event.detail));"
    )
    page.goto(f"{address}/binding{query}")
    page.wait_for_function("window.bindings.at(-1)?.picture", timeout=240_000)
    return page


def last_painted(page):
    return page.evaluate("window.painted.at(-1)")


def wait_for_query(page, query: str, direction: str = "to"):
    page.wait_for_function(
        "([q, d]) => { const last = window.painted.at(-1);"
        " return last && last.query === q && last.direction === d; }",
        arg=[query, direction],
        timeout=15_000,
    )
    return last_painted(page)


def patch_position(page, row: int, column: int, size: int = 16) -> tuple[float, float]:
    """Middle of a patch on the screen while the model's (square) view fills the picture."""
    box = page.locator(".above").bounding_box()
    side = min(box["width"], box["height"])
    left = box["x"] + (box["width"] - side) / 2
    top = box["y"] + (box["height"] - side) / 2
    return left + side * (column + 0.5) / size, top + side * (row + 0.5) / size
