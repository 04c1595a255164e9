"""Watching a model changes nothing in it, in its output or in other threads."""

import threading

import pytest
import torch
from torch.nn import functional as F
from torch.nn.modules import module as module_globals
from torch.overrides import _get_current_function_mode_stack

from analytics.capture.interception import AttentionTap
from analytics.capture.recording import capture

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
GLOBAL_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")
PATCHABLE = ("scaled_dot_product_attention", "softmax", "linear", "dropout")


class Silent:
    """Lets everything through and counts what it saw."""

    def __init__(self):
        self.seen = []

    def fused(self, module, call, run):
        self.seen.append(module)
        return run()

    def softmax(self, module, attention):
        self.seen.append(module)
        return attention, None

    def product(self, mark, attention, output, mixed):
        raise AssertionError("nothing was marked")

    def other(self, function, args, result):
        raise AssertionError("not asked for")


def uniform(site, attention):
    return torch.full_like(attention, 1 / attention.shape[-1])


def hooks_of(model):
    found = [hook for module in model.modules() for name in HOOKS for hook in getattr(module, name)]
    return found + [hook for name in GLOBAL_HOOKS for hook in getattr(module_globals, name)]


@pytest.mark.parametrize("kind", ["vit", "beit", "swin", "cait", "map pool"])
def test_a_silent_tap_changes_no_bit(kind, subject, noise):
    model, sites = subject(kind)
    pixels, owner = noise(sites, 2), Silent()
    with torch.no_grad():
        plain = model(pixels)
        with AttentionTap(model, owner):
            watched = model(pixels)
    assert torch.equal(plain, watched)
    assert set(owner.seen) >= {site.module for site in sites.sites}


@pytest.mark.parametrize("kind", ["vit", "beit", "swin", "twins", "convit"])
def test_keeping_queries_and_outputs_changes_no_bit(kind, subject, noise):
    model, sites = subject(kind)
    pixels = noise(sites, 2)
    with torch.no_grad():
        plain = model(pixels)
        with capture(model, sites, ("query", "key", "value", "output"), lambda h: 1) as captured:
            watched = model(pixels)
    assert torch.equal(plain, watched)
    assert [one.site.index for one in captured] == list(range(len(sites.sites)))


def test_another_thread_sees_nothing_and_is_not_seen(subject, noise):
    model, sites = subject("vit")
    pixels, others = noise(sites), noise(sites, seed=2)
    outputs = []

    def elsewhere():
        with torch.no_grad():
            outputs.append(model(others))

    with torch.no_grad():
        plain = model(others)
        with capture(model, sites, edit=uniform, keep=("output",)) as captured:
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            assert captured == []
            edited = model(pixels)
        again = model(pixels)
    assert torch.equal(outputs[0], plain)
    assert len(captured) == len(sites.sites)
    assert not torch.allclose(edited, again)


def test_two_threads_capture_the_same_model_at_once(subject, noise):
    model, sites = subject("vit")
    barrier, kept = threading.Barrier(2), {}

    def watch(seed):
        with torch.no_grad(), capture(model, sites, ("attention",)) as captured:
            barrier.wait(timeout=20)
            model(noise(sites, seed=seed))
            barrier.wait(timeout=20)
        kept[seed] = captured

    threads = [threading.Thread(target=watch, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (1, 2):
        with torch.no_grad(), capture(model, sites, ("attention",)) as alone:
            model(noise(sites, seed=seed))
        assert len(kept[seed]) == len(alone)
        for one, other in zip(kept[seed], alone, strict=True):
            assert torch.equal(one.attention, other.attention)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails, subject, noise):
    model, sites = subject("swin")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    functions = {name: getattr(F, name) for name in PATCHABLE}
    forwards = [vars(module).get("forward") for module in model.modules()]
    plain = model(noise(sites))

    def reduce(heads):
        if fails and heads.site.index == 2:
            raise RuntimeError("stop here")

    try:
        with capture(model, sites, ("attention", "value"), reduce) as captured:
            model(noise(sites))
    except RuntimeError as error:
        assert str(error) == "stop here"
    assert len(captured) == (2 if fails else len(sites.sites))
    assert _get_current_function_mode_stack() == []
    assert hooks_of(model) == []
    assert {name: getattr(F, name) for name in PATCHABLE} == functions
    assert [vars(module).get("forward") for module in model.modules()] == forwards
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert torch.equal(model(noise(sites)), plain)


def test_captures_inside_one_another_both_record(subject, noise):
    model, sites = subject("vit")
    with torch.no_grad(), capture(model, sites, ("query",)) as outer:
        with capture(model, sites, ("query",)) as inner:
            model(noise(sites))
        model(noise(sites))
    assert len(inner) == len(sites.sites)
    assert len(outer) == 2 * len(sites.sites)
    assert all(torch.equal(a.query, b.query) for a, b in zip(inner, outer, strict=False))


def test_softmax_outside_the_model_is_not_recorded(subject, noise):
    model, sites = subject("vit")
    with torch.no_grad(), capture(model, sites, ("attention",)) as captured:
        torch.softmax(torch.randn(1, 3, 4, 4), dim=-1) @ torch.randn(1, 3, 4, 2)
        model(noise(sites))
    assert [one.site.module for one in captured] == ["blocks.0.attn", "blocks.1.attn"]
