"""The Flow page: what an address means, what is asked for, what is said when it cannot be had."""

from __future__ import annotations

import pytest

from pages import _address, _evidence
from pages._shared import NOTES
from tests.made_flow import changed_flow, made_flow
from tests.pages.conftest import ROOT, settle


def notes_of(app) -> str:
    return "\n".join(app.session_state[NOTES]) if NOTES in app.session_state else ""


@pytest.fixture(autouse=True, scope="module")
def timm_is_there():
    """The names on offer come with timm; AppTest cannot follow titles that change meanwhile."""
    import timm  # noqa: F401


@pytest.fixture
def open_flow():
    """Run the Flow page as a visitor with an address does; waits for the computation."""
    from streamlit.testing.v1 import AppTest

    def run(**params: str):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=90)
        for name, value in {"model": "test_vit:random", **params}.items():
            app.query_params[name] = value
        app.switch_page("pages/flow.py")
        return settle(app.run())

    return run


def test_a_link_chooses_map_scale_threshold_and_layer(open_flow):
    app = open_flow(map="legrad", scaling="own", threshold="2.5", layer="3")
    assert not app.exception and notes_of(app) == ""
    assert app.session_state[_evidence.SHOWN] == {
        "map": "legrad",
        "scaling": "own",
        "threshold": "2.5",
    }
    assert app.session_state[_address.VIEW]["layer"] == 3
    assert app.query_params["map"] == "legrad"
    assert app.session_state["flow_last"]


def test_what_a_link_gets_wrong_is_noted_and_left_out(open_flow):
    app = open_flow(map="saliency", scaling="log", threshold="-3")
    assert not app.exception
    said = notes_of(app)
    for part in ("map='saliency'", "scaling='log'", "threshold='-3'"):
        assert part in said
    assert app.session_state[_evidence.SHOWN] == {
        "map": "rollout",
        "scaling": "same",
        "threshold": "5",
    }


def test_the_panel_describes_the_model_and_offers_its_sizes(open_flow):
    app = open_flow()
    assert any("6 layers × 2 heads" in str(one.proto) for one in app.get("html"))
    assert app.selectbox[1].value == 160


def test_a_what_if_is_measured_beside_the_model_as_it_is(open_flow):
    app = open_flow()
    shown = app.session_state["flow_last"]
    app.session_state[_evidence.WHAT_IF] = {"threshold": 0.9, "p": 0.0, "prefix": True}
    app = settle(app.run())
    assert not app.exception and notes_of(app) == ""
    assert app.session_state["flow_last"] == shown
    from analytics.serve.state import services

    jobs = [one for one in services().jobs.jobs() if one.params.get("what_if")]
    assert jobs and jobs[-1].state == "done"
    changed = services().flows.get(str(jobs[-1].result))
    assert changed.redistribution.what_if.p == 0.0


def test_a_record_that_left_the_memory_is_computed_again(open_flow):
    from analytics.serve.state import services

    app = open_flow()
    flows = services().flows
    known = app.session_state["flow_last"]
    with flows._lock:
        flows._held.clear()
        flows._nbytes = 0
    app = settle(app.run())
    assert not app.exception
    assert flows.get(known) is not None


def test_channel_attention_is_refused_as_the_lens_does(open_flow):
    app = open_flow(model="xcit_nano_12_p16_224:random")
    assert not app.exception
    assert "no layer in which patches attend to patches" in notes_of(app)
    assert "Try again" in [button.label for button in app.button]


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (
            {"threshold": 5, "p": 0.5, "prefix": False},
            {"threshold": 5.0, "p": 0.5, "prefix": False},
        ),
        ({}, None),
        ({"threshold": 0, "p": 0.5}, None),
        ({"threshold": 5, "p": 2}, None),
        ({"threshold": float("nan"), "p": 0}, None),
        ({"threshold": "five", "p": 0}, None),
    ],
)
def test_only_a_possible_what_if_is_asked_for(found, wanted):
    assert _evidence.asked_what_if(found) == wanted


def test_made_flows_are_consistent():
    flow = made_flow()
    assert flow.sink_life()["3,3"] == (1, 2)
    changed = changed_flow(flow, p=0.0).redistribution
    assert changed.received[1, -1] == 0 and changed.sinks[1, -1]


def test_a_what_if_that_failed_says_why_and_the_model_as_it_is_stays(open_flow):
    from analytics.serve.state import services

    app = open_flow()
    wish = {"threshold": 0.8, "p": 2.0, "prefix": True}  # not possible: the job fails
    app.session_state[_evidence.WHAT_IF] = wish
    app = settle(app.run())
    assert not app.exception
    assert "expected p from 0" in notes_of(app)
    assert app.session_state[_evidence.WHAT_IF] is None
    failed = [one for one in services().jobs.jobs() if one.params.get("what_if") == wish]
    assert [one.state for one in failed] == ["failed"]


def test_a_picture_of_one_pixel_has_a_flow(open_flow):
    import io

    from PIL import Image

    from analytics.serve.state import services

    buffer = io.BytesIO()
    Image.new("RGB", (1, 1), (200, 30, 30)).save(buffer, "PNG")
    picture = services().pictures.put(buffer.getvalue(), "dot.png")
    app = open_flow(image=picture.sha256)
    assert not app.exception
    record = services().flows.get(app.session_state["flow_last"])
    assert record.picture.width == 1 and len(record.maps) == 4
