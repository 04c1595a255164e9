"""The app's page logic without a browser, on a data folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The process's services on an empty folder; stopped at the end."""
    from analytics.serve import state

    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("data")
    patch.setenv("ATTENTION_ATLAS_DATA", str(folder))
    patch.setenv("ATTENTION_ATLAS_ROOTS", "")
    state._from_environment.cache_clear()
    yield folder
    state.services().close()
    state._from_environment.cache_clear()
    patch.undo()


@pytest.fixture
def open_page() -> Callable[..., object]:
    """Run the app as a visitor with an address does; waits for the computation."""
    from streamlit.testing.v1 import AppTest

    def run(**params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in params.items():
            app.query_params[name] = value
        return settle(app.run())

    return run


def settle(app):
    """Run again until no computation is under way."""
    from analytics.serve.state import services

    for job in services().jobs.jobs():
        services().jobs.wait(job.key, 60)
    return app.run()
