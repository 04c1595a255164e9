"""Finding the top heads on the Heads page: asking, the words, what stays and what is forgotten."""

from __future__ import annotations

import pytest

from analytics.jobs.queue import Cancelled
from analytics.studies.adaptive import _schedule
from pages import _address, _search
from tests.pages.conftest import settle
from tests.pages.test_heads import (  # noqa: F401  # fixtures
    button,
    notes_of,
    open_heads,
    timm_is_there,
)


def said(app) -> str:
    return "\n".join(str(one.proto.body) for one in app.get("html"))


def searched(app):
    from analytics.serve.state import services

    return services().jobs.get(app.session_state[_search.ASKED]["job"])


def offered(app) -> list[str]:
    [metric] = [one for one in app.selectbox if one.key == _search.METRIC]
    return metric.options


def find(app, **choices):
    for key, value in choices.items():
        [one] = [w for w in (*app.selectbox, *app.number_input) if w.key == f"_search_{key}"]
        one.set_value(value)
    return settle(button(app.run(), "Find them").click().run())


def test_heads_are_found_and_said_in_words_with_their_heads_marked(open_heads):  # noqa: F811
    app = open_heads()
    assert app.session_state[_search.ASKED] is None and "top" not in app.query_params
    assert "Error rate" not in said(app)
    app = find(app, top=3, metric="patch_shift")
    assert not app.exception and notes_of(app) == ""
    job = searched(app)
    assert job.state == "done" and len(job.result["heads"]) == 3
    assert (app.query_params["top"], app.query_params["by"]) == ("3", "patch_shift")
    assert "The 3 most important heads by patch shift, zero ablation." in said(app)
    assert "Exact: every head was measured on all of the 8 pictures" in said(app)
    [pills] = [one for one in app.button_group if one.label == "Open in the lens"]
    assert pills.options == [f"L{layer} H{head}" for layer, head in job.result["heads"]]


def test_a_reload_and_a_link_find_the_same_search(open_heads):  # noqa: F811
    first = find(open_heads(), top=2)
    asked, before = first.session_state[_search.ASKED], searched(first)
    link = {name: first.query_params[name] for name in ("set", "top", "by")}
    again = open_heads(**link)
    assert again.session_state[_search.ASKED] == asked
    assert searched(again) is before  # not run again
    assert again.number_input(key=_search.TOP).value == 2
    assert "The 2 most important heads by cls shift" in said(again)


def test_another_ablation_or_model_hides_the_search_and_coming_back_shows_it(
    open_heads,  # noqa: F811
):
    app = find(open_heads(), top=4)
    for value, shown in (("mean", False), ("zero", True)):
        app = settle(app.segmented_control(key="_study_ablation").set_value(value).run())
        assert ("4 most important heads" in said(app)) == shown
        assert ("top" in app.query_params) == shown


def test_others_go_into_the_pruning_set(open_heads):  # noqa: F811
    app = find(open_heads(), top=2)
    serial = app.session_state[_address.SERIAL]
    app = button(app, "Others into the pruning set").click().run()
    pairs = app.session_state[_address.VIEW]["heads"].split(",")
    kept = {f"{layer}:{head}" for layer, head in searched(app).result["heads"]}
    assert len(set(pairs)) == 10 and not kept & set(pairs)
    assert app.session_state[_address.SERIAL] == serial + 1


def test_a_head_opens_in_the_lens(open_heads):  # noqa: F811
    app = find(open_heads(), top=2)
    layer, head = searched(app).result["heads"][1]
    [pills] = [one for one in app.button_group if one.label == "Open in the lens"]
    app = pills.set_value((layer, head)).run()
    assert not app.exception
    view = app.session_state[_address.VIEW]
    assert (view["layer"], view["head"]) == (layer, head)
    assert "effort" not in app.query_params  # the lens's own address


def test_a_stopped_search_says_so_and_goes_on(open_heads):  # noqa: F811
    from analytics.serve.search_work import search_work
    from analytics.serve.state import services

    def stop(params, report):
        raise Cancelled

    services().jobs.register("search", stop)
    try:
        app = find(open_heads(), top=5)
    finally:
        services().jobs.register("search", search_work(services()))
    assert searched(app).state == "cancelled"
    assert _search.STOPPED in said(app) and notes_of(app) == ""
    app = settle(app.run())
    assert searched(app).state == "cancelled"  # looking does not start it
    app = find(app)
    assert searched(app).state == "done" and "5 most important heads" in said(app)


def test_a_search_that_fails_says_why(open_heads):  # noqa: F811
    app = open_heads(top="12", by="cls_shift")
    assert not app.exception
    assert "expected k from 1 to 11 of 12 heads, got 12" in said(app)
    assert "Measure exactly" in [one.label for one in app.button]


def test_what_a_link_gets_wrong_is_noted(open_heads):  # noqa: F811
    app = open_heads(top="many", by="beauty")
    assert app.session_state[_search.ASKED] is None
    assert "top='many'" in notes_of(app)
    app = open_heads(top="2", by="probability_drop")  # signed: ratios mean nothing
    assert "by='probability_drop'" in notes_of(app)
    assert app.session_state[_search.ASKED]["metric"] == "cls_shift"


def test_a_labelled_set_is_drawn_from_beyond_what_is_measured(open_heads):  # noqa: F811
    app = find(open_heads(set="labelled", pictures="2"), top=1, draw=25)
    found = searched(app).result
    assert found["images"] == 25 and 12 <= found["images_drawn"] <= 25
    assert app.query_params["drawn"] == "25"
    assert "The most important head by cls shift" in said(app)


def test_metrics_on_offer_are_those_that_a_search_can_save_on(open_heads):  # noqa: F811
    plain = ["cls shift", "cls distance", "patch shift", "layer impact"]
    assert offered(open_heads()) == plain
    # The random model has a head of its own; exact measurement shows that there are classes.
    assert offered(open_heads(effort="exact")) == [*plain, "JS divergence", "flip rate"]
    labelled = open_heads(set="labelled", pictures="2", readout="linear")
    assert "JS divergence" in offered(labelled) and "probability drop" not in offered(labelled)


def test_words_carry_share_rate_and_caution():
    found = {
        "images_drawn": 27, "images": 64, "work": 0.234, "error_rate": 0.05, "exact": False,
    }  # fmt: skip
    text = "\n".join(_search.words(found))
    for part in ("27 of 64 pictures drawn, 23 % of the work", "Error rate 5 %", "no theorem"):
        assert part in text
    exact = _search.words({**found, "exact": True, "images": 1})
    assert len(exact) == 1 and "the one picture" in exact[0]


@pytest.mark.parametrize("images", [_search.WHOLE_BELOW - 1, _search.WHOLE_BELOW])
def test_the_size_below_which_all_is_measured_is_the_search_s_own(images):
    looks = _schedule(images, 12, 1.5, None)
    assert (len(looks) == 1) == (images < _search.WHOLE_BELOW)
