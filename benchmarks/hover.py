"""How long from a pointer move to the repainted lens, with every head of every layer?

Starts the app on an empty data folder, opens Chromium and moves the pointer over distinct
patches of a 16 x 16 grid (224 px) and a 37 x 37 grid (518 px), each for the first time, then
over the same ones again. The rows of a first visit come from the server (at most one request
each) unless they were fetched ahead; those of a second visit are in the browser. Times run
from the time stamp of the pointer event to the end of drawing in requestAnimationFrame
(`painted`) and to the first task after that frame (`done`).

    python benchmarks/hover.py [--moves 220] [--out benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.browser.driving import (
    FLAGS,
    open_lens,
    patch_position,
    start_server,
    stop,
    wait_for_query,
)

TARGETS = {224: (10.0, 33.0), 518: (25.0, 50.0)}
FIRST_VIEW = 3_000_000


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of the values lies, linear between ranks."""
    if len(values) < 2:
        return values[0] if values else float("nan")
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def summary(times: list[float]) -> dict[str, float]:
    """Percentiles in milliseconds."""
    shares = {"p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
    return {name: round(percentile(times, share), 2) for name, share in shares.items()}


class Traffic:
    """Counts what reaches the browser, Streamlit's own static files apart."""

    def __init__(self, page: Any) -> None:
        self.static, self.ours = 0, 0
        self.rows: list[int] = []
        page.on("requestfinished", self._request)
        page.on("websocket", lambda socket: socket.on("framereceived", self._frame))

    def _request(self, request: Any) -> None:
        size = request.sizes()["responseBodySize"]
        if "/atlas/" not in request.url:
            self.static += size
            return
        self.ours += size
        if "/row?" in request.url:
            self.rows.append(size)

    def _frame(self, payload: Any) -> None:
        self.ours += len(payload)


def first_page(browser: Any, address: str, rounds: int = 7) -> dict[str, float]:
    """Median seconds from opening the address on a warm server, in a browser without a cache.

    `frame`: the left panel's first heading is there; `view`: the first maps are drawn.
    """
    frames, views = [], []
    for _ in range(rounds):
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.add_init_script("addEventListener('lens:painted', () => { window.drawn = true; });")
        begin = time.perf_counter()
        page.goto(address, wait_until="commit")
        page.wait_for_selector(".atlas-heading", state="attached")
        frames.append(time.perf_counter() - begin)
        page.wait_for_function("window.drawn === true")
        views.append(time.perf_counter() - begin)
        page.context.close()
    return {"frame": statistics.median(frames), "view": statistics.median(views)}


def replay(page: Any, patches: list[tuple[int, int]], size: int) -> list[dict[str, Any]]:
    """Move the pointer from patch to patch; the next move starts when the last is painted."""
    details = []
    for row, column in patches:
        page.mouse.move(*patch_position(page, row, column, size))
        details.append(wait_for_query(page, f"{row},{column}"))
    return details


def measure(browser: Any, address: str, side: int, moves: int) -> dict[str, Any]:
    """One grid: the first view, cold hovers, warm hovers."""
    size = side // 14
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    traffic = Traffic(page)
    open_lens(page, address, f"/?model=bundled&size={side}")
    page.wait_for_timeout(1500)
    first = {"ours": traffic.ours, "streamlit_static": traffic.static}
    traffic.rows.clear()
    every = [(row, column) for row in range(size) for column in range(size)]
    patches = random.Random(7).sample(every, min(moves, len(every)))
    first_visit = replay(page, patches, size)
    second_visit = replay(page, patches, size)
    page.context.close()
    return {
        "side": side,
        "grid": f"{size} x {size}",
        "first_view_bytes": first,
        "row_bytes": max(traffic.rows),
        "series": {
            "first visit": report(first_visit),
            "of these from the server": report([one for one in first_visit if one["network"]]),
            "second visit": report(second_visit),
        },
    }


def report(details: list[dict[str, Any]]) -> dict[str, Any]:
    """Percentiles of one series, in milliseconds after the pointer event."""
    return {
        "moves": len(details),
        "painted": summary([one["painted"] - one["event"] for one in details]),
        "done": summary([one["done"] - one["event"] for one in details]),
    }


def show(result: dict[str, Any]) -> None:
    """Print one grid as a table, with the targets."""
    median, slow = TARGETS[result["side"]]
    print(f"\n{result['side']} px, {result['grid']} patches, 12 x 6 heads repainted")
    for series, found in result["series"].items():
        for name in ("painted", "done"):
            times = "  ".join(f"{key} {value:6.1f}" for key, value in found[name].items())
            print(f"  {series:24} {name:7} n={found['moves']:<4} {times} ms")
    print(f"  target painted: p50 <= {median:.0f}, p95 <= {slow:.0f} ms")
    first = result["first_view_bytes"]
    print(
        f"  row {result['row_bytes'] / 1e3:.0f} kB; first view {first['ours'] / 1e6:.2f} MB of our "
        f"data (target < {FIRST_VIEW / 1e6:.0f} MB at 224 px), and "
        f"{first['streamlit_static'] / 1e6:.1f} MB of Streamlit's own static files, not counted"
    )


def main() -> None:
    """Run both grids, print the tables and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=220)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server, address = start_server(Path(folder) / "data", Path(folder) / "server.log")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            results = [measure(browser, address, side, options.moves) for side in TARGETS]
            opening = first_page(browser, address)
        finally:
            browser.close()
            stop(server)
    for result in results:
        show(result)
    print(
        f"\nfirst page on a warm server: frame {opening['frame']:.1f} s, maps "
        f"{opening['view']:.1f} s (target 3 s)"
    )
    load = os.getloadavg()[0]
    print(f"\nload of the machine at the end: {load:.1f} on {os.cpu_count()} cores")
    options.out.mkdir(parents=True, exist_ok=True)
    record = {"load": load, "cores": os.cpu_count(), "first_page": opening, "results": results}
    text = json.dumps(record, indent=2)
    (options.out / "hover.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
