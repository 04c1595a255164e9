"""The set-up keeps its promises: versions, data, themes, and no traces of one machine."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.+!]*")
TEXT = {"", ".cff", ".css", ".html", ".js", ".json", ".md", ".py", ".toml", ".txt", ".yml"}
FOLDERS = (".ci", ".streamlit", "analytics", "assets", "benchmarks", "docs", "pages", "tests")
REGISTRIES = re.compile(
    r"pypi\.(?:org|python)|pythonhosted|registry\.npmjs|download\.pytorch|conda\.anaconda"
    r"|(?:extra-)?index-url|find-links|trusted-host"
)
MACHINE_PATHS = re.compile(r"(?<![\w.<-])/(?:tmp|work|farm|root|opt|home/\w+|Users/\w+)/")


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normalised(pair[0]): pair[1] for pair in pairs}


def direct_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [item for extra in project["optional-dependencies"].values() for item in extra]
    found = [re.match(r"[A-Za-z0-9._-]+", item) for item in [*project["dependencies"], *extras]]
    return {normalised(match.group()) for match in found if match}


def test_constraints_hold_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    odd = [line for line in lines if not (line.startswith("#") or PIN.fullmatch(line))]
    assert odd == []
    names = [line.split("==")[0] for line in lines if not line.startswith("#")]
    assert len({normalised(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    "line",
    ["torch", "torch>=2", "torch==2.15.0 --hash=x", "-e .", "timm @ https://example.org/a.whl"],
)
def test_the_pattern_of_a_pin_is_strict(line: str) -> None:
    assert PIN.fullmatch(line) is None


def test_constraints_cover_every_direct_dependency() -> None:
    assert direct_dependencies() - set(pins()) == set()


def test_torch_carries_no_tag_of_a_special_build() -> None:
    assert {name: pins()[name] for name in ("torch", "torchvision") if "+" in pins()[name]} == {}


def test_the_installed_project_has_the_version_of_the_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert version("attention-atlas") == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()


def listed_hashes(text: str) -> dict[str, str]:
    """File -> SHA-256, from lines such as `hash  file` and Markdown table rows."""
    table = re.findall(r"\| `([^`]+)` \| \d+ \| `([0-9a-f]{64})` \|", text)
    plain = [
        (name, digest) for digest, name in re.findall(r"^ *([0-9a-f]{64})  (\S+)$", text, re.M)
    ]
    return dict([*table, *plain])


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_asset_is_listed_with_its_hash(assets: Path) -> None:
    notice = listed_hashes((assets / "NOTICE").read_text())
    words = {"NOTICE", "MODEL_CARD.md"}
    files = [path for path in assets.rglob("*") if path.is_file() and path.name not in words]
    assert notice == {str(path.relative_to(assets)): sha256(path) for path in files}


def test_the_model_card_names_the_weights_by_hash_and_size(assets: Path) -> None:
    card = (assets / "weights" / "MODEL_CARD.md").read_text()
    files = [path for path in (assets / "weights").iterdir() if path.suffix != ".md"]
    assert listed_hashes(card) == {path.name: sha256(path) for path in files}
    assert [path.name for path in files if f"| {path.stat().st_size} |" not in card] == []
    assert "probably not the original DINOv2" in card


def theme() -> dict[str, dict[str, str]]:
    return tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: str, b: str) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2)."""
    dark, light = sorted([luminance(a), luminance(b)])
    return (light + 0.05) / (dark + 0.05)


def test_contrast_has_its_known_values() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#123456", "#123456") == pytest.approx(1)


def test_both_themes_set_the_same_things() -> None:
    light, dark = theme()["light"], theme()["dark"]
    assert set(light) == set(dark)
    assert luminance(light["backgroundColor"]) > 0.9
    assert luminance(dark["backgroundColor"]) < 0.02


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_can_be_read_in_both_themes(name: str) -> None:
    colours = theme()[name]
    for ground in (colours["backgroundColor"], colours["secondaryBackgroundColor"]):
        for text in ("textColor", "grayTextColor", "linkColor"):
            assert contrast(colours[text], ground) >= 4.5, (text, ground)
        assert contrast(colours["primaryColor"], ground) >= 4
    # Streamlit prints white on primary buttons, so this colour has to serve both ways.
    assert contrast(colours["primaryColor"], "#ffffff") >= 3.9


def options(table: dict, prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from options(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def test_every_option_is_one_that_streamlit_knows() -> None:
    from streamlit import config

    ours = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert set(options(ours)) - set(config.get_config_options()) == set()
    assert ours["server"]["address"] == "127.0.0.1"
    assert ours["server"]["enableXsrfProtection"] is True
    assert ours["browser"]["gatherUsageStats"] is False


def test_no_font_or_script_comes_from_elsewhere() -> None:
    assert "://" not in (ROOT / ".streamlit" / "config.toml").read_text()


def text_files() -> list[Path]:
    inside = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found = [path for path in [*inside, *ROOT.iterdir()] if path.is_file()]
    return [path for path in found if path.suffix in TEXT and "__pycache__" not in path.parts]


def traces(text: str) -> list[str]:
    """Addresses of package registries and paths of one machine in a text."""
    return [match.group() for match in (*REGISTRIES.finditer(text), *MACHINE_PATHS.finditer(text))]


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    files = [path for path in text_files() if path != Path(__file__).resolve()]
    assert len(files) > 20
    found = {str(path.relative_to(ROOT)): traces(path.read_text()) for path in files}
    assert {name: hits for name, hits in found.items() if hits} == {}


@pytest.mark.parametrize(
    "text",
    ["see https://pypi.org/simple", "--extra-index-url x", "cd /work/main", "open('/tmp/a.png')"],
)
def test_the_search_for_traces_finds_them(text: str) -> None:
    assert len(traces(text)) == 1


def test_addresses_of_web_pages_are_no_traces() -> None:
    assert traces("https://example.org/work/page and docs/work/a.md and ~/.local/share") == []


def dead_links(page: Path) -> list[str]:
    """Relative links and pictures of a Markdown page that lead nowhere."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    return [link for link in targets if "://" not in link and not (page.parent / link).exists()]


def test_links_and_pictures_of_the_pages_exist() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "assets").rglob("*.md")]
    found = {str(page.relative_to(ROOT)): dead_links(page) for page in pages}
    assert {name: links for name, links in found.items() if links} == {}


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](gone.md#x) ![b](page.md) [c](https://example.org)")
    assert dead_links(page) == ["gone.md"]
