"""The ablation view in a real browser: charts, maps before and after, keys."""

from __future__ import annotations

import re

import pytest

# A probe and a sweep are made first; a busy machine may take minutes for them.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.fixture
def ablation(page, server):
    """The view with a small model on a made scene, once its sweep is complete."""
    page.add_init_script(
        "window.removed = [];"
        "addEventListener('removing:painted', (event) => window.removed.push(event.detail));"
    )
    page.goto(f"{server}/binding?model=test_vit:random&scene=one-colour:3&view=ablation&dims=8")
    page.wait_for_function(
        "(() => { const last = window.removed.at(-1);"
        " return last && last.edited && last.wanted && last.done === last.wanted; })()",
        timeout=800_000,
    )
    return page


def painted(page, **wanted):
    """The last painting, once it says so."""
    page.wait_for_function(
        "(wanted) => { const last = window.removed.at(-1);"
        " return last && Object.keys(wanted).every((name) => last[name] === wanted[name]); }",
        arg=wanted,
        timeout=120_000,
    )
    return page.evaluate("window.removed.at(-1)")


def test_charts_maps_and_keys(ablation):
    found = painted(ablation, old=False)
    assert {dot["name"] for dot in found["dots"]} == {"binding", "principal", "random", "stream"}
    clean = [
        dot["value"] for dot in found["dots"] if (dot["edit"], dot["amount"]) == ("shuffle", 0)
    ]
    assert len(clean) == 4 and len(set(clean)) == 1
    assert found["amount"] == 1 and found["largest"] > 0
    # Unchanged: the two maps are the same number by number.
    for _ in range(10):
        ablation.keyboard.press("ArrowLeft")
    found = painted(ablation, amount=0, old=False)
    assert found["largest"] == 0 and found["before"] == found["after"]
    ablation.wait_for_url(re.compile("amount=0.0"), timeout=30_000)
    ablation.keyboard.press("Shift+ArrowUp")
    assert painted(ablation, query="4,5")["pointed"] == ""
    words = ablation.locator('[data-part="words"]').inner_text()
    assert "binding part" in words and "PCA part" in words
    href = ablation.locator('[data-part="exports"] a[data-kind="csv"]').get_attribute("href")
    answer = ablation.request.get(ablation.url.split("/binding")[0] + href)
    assert answer.text().startswith("subspace,edit,amount,moved,auc_matched")
