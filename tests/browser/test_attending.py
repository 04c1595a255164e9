"""The Attention view as the browser gets it."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.browser


def test_script_is_one_module_with_unique_names():
    from pages._components.attending import FOLDER, MODULES

    assert {path.name for path in FOLDER.glob("*.js")} == {
        name for name in MODULES if not name.startswith("../")
    }
    names = re.findall(
        r"^(?:export )?(?:async )?(?:function|const|let) (\w+)",
        "\n".join((FOLDER / name).read_text() for name in MODULES),
        re.MULTILINE,
    )
    assert sorted(names) == sorted(set(names))
