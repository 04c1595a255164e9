"""The check of models must pass what is right, and must be able to fail."""

from dataclasses import replace

import pytest
import timm

from analytics.capture.tracing import find_sites
from analytics.studies import model_check
from analytics.studies.model_check import ModelCheck, build_short, check_model, check_models
from analytics.studies.model_table import markdown, table_names


@pytest.mark.parametrize(
    "name",
    ["test_vit", "test_vit2", "test_vit3", "test_vit_relpos"],
)
def test_small_models_pass_every_check(name):
    result = check_model(name)
    assert result.failed == ()
    assert result.works
    assert result.placed == result.sites > 0


@pytest.mark.slow
def test_a_family_that_adds_to_the_heads_before_the_projection_fails_ablation():
    """MViTv2 adds the pooled query to the head output: a gate is not a cut of columns."""
    failed = check_model("mvitv2_small_cls").failed
    assert [failure.split(":")[0] for failure in failed] == ["ablation"]


def test_a_model_without_attention_is_refused_with_the_reason():
    result = check_model("resnet18")
    assert not result.works
    assert "no attention between the places of a picture" in result.refused


def test_channel_attention_is_not_drawn():
    result = check_model("xcit_nano_12_p16_224")
    assert "between channels" in result.undrawable


@pytest.fixture(scope="module")
def vit():
    model, size = build_short("test_vit")
    return model, find_sites(model, size)


def test_wrong_head_axes_are_found_out(vit):
    """Reading windows where there are heads moves every gate to another place."""
    model, sites = vit
    heads = sites.sites[0].num_heads
    wrong = tuple(replace(s, axes="bh,w", num_windows=heads, num_heads=1) for s in sites.sites)
    assert model_check._ablation(model, replace(sites, sites=wrong)) != ""


def test_a_call_that_is_not_seen_is_found_out(vit):
    model, sites = vit
    absent = replace(sites.sites[0], index=2, module="nowhere")
    assert model_check._no_op(model, sites) == ""
    assert model_check._no_op(model, replace(sites, sites=(*sites.sites, absent))) != ""


def test_wrong_explicit_attention_is_found_out(vit, monkeypatch):
    model, sites = vit
    right = model_check.Heads.attention
    monkeypatch.setattr(model_check.Heads, "attention", lambda self: right(self) * 1.01)
    assert "differs" in model_check._explicit(model, sites)


def test_a_family_that_breaks_is_reported_and_the_rest_goes_on(monkeypatch):
    def broken(model, sites):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(model_check, "_FUNCTIONS", (broken, *model_check._FUNCTIONS[1:]))
    seen = []
    results = check_models(["test_vit", "resnet18"], lambda done, total, name: seen.append(name))
    assert seen == ["test_vit", "resnet18"]
    assert results[0].failed == ("no-op: RuntimeError: no such luck",)
    assert results[1].refused


def test_table_has_at_least_a_hundred_known_names():
    names = table_names()
    assert len(names) == len(set(names)) >= 100
    assert [name for name in names if not timm.is_model(name)] == []


def test_page_counts_what_works_and_says_why_not():
    results = [
        ModelCheck("good", "vit", 12, 12, "6"),
        ModelCheck("bad", "odd", 2, 2, "3", failed=("ablation: differs by 1.0e-01",)),
        ModelCheck("flat", "mobile", 9, 0, "4", undrawable="places not known"),
        ModelCheck("none", "resnet", refused="ResNet has no attention. Choose another"),
    ]
    page = markdown(results, "timm 1")
    assert "4 names: 3 have attention between tokens and 2 of them (67 %)" in page
    assert "Failed ablation: 1." in page
    assert "| `good` | vit | 6 | 12 of 12 | works |  |" in page
    assert "| `bad` | odd | 3 | 2 of 2 | fails | ablation: differs by 1.0e-01 |" in page
    assert "| `flat` | mobile | 4 | 0 of 9 | gates only | places not known |" in page
    assert "| `none` | resnet |  |  | refused | ResNet has no attention |" in page
