"""Pattern coders: shapes, the linear start, files, and the shipped one."""

from __future__ import annotations

import pytest
import torch

from analytics.models.autoencoder import (
    LINEAR_FROM,
    WIDTH,
    PatternAutoencoder,
    PatternPca,
    coder_bytes,
    read_coder,
)


def made(count=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(count, 64, 64, generator=generator)
    return maps, torch.rand(count, 16, 16, generator=generator)


def test_joining_and_splitting_are_inverse():
    coder = PatternAutoencoder(2)
    maps, cls = made()
    coder.scaling.fit(maps, cls)
    joined = coder.scaling.join(maps, cls)
    assert joined.shape == (5, WIDTH)
    again = coder.scaling.split(joined)
    torch.testing.assert_close(again[0], maps)
    torch.testing.assert_close(again[1], cls)
    # Overall spread 1 for the map, and the stated tenth for the row of cls.
    assert float(joined[:, :4096].square().mean()) == pytest.approx(1, abs=1e-4)
    assert float(joined[:, 4096:].square().sum()) == pytest.approx(0.1 * 5 * 4096, rel=1e-4)


def test_maps_that_never_change_have_spread_1():
    coder = PatternPca(2)
    coder.scaling.fit(torch.ones(3, 64, 64), torch.zeros(3, 16, 16))
    assert coder.scaling.spreads.tolist() == [1, 1]


@pytest.mark.parametrize("latent", [2, 5, LINEAR_FROM])
def test_shapes_and_range(latent):
    coder = PatternAutoencoder(latent)
    maps, cls = made()
    with torch.no_grad():
        code = coder.encode(maps, cls)
        drawn, drawn_cls = coder.decode(3 * code)
    assert code.shape == (5, latent)
    assert (drawn.shape, drawn_cls.shape) == ((5, 64, 64), (5, 16, 16))
    assert float(drawn.min()) >= 0 and float(drawn.max()) <= 1


def test_a_wide_net_starts_as_principal_components():
    components = PatternPca(LINEAR_FROM)
    directions = torch.linalg.qr(torch.randn(WIDTH, LINEAR_FROM))[0].T
    components.directions.copy_(directions)
    components.latent_spread.copy_(torch.arange(1, LINEAR_FROM + 1))
    net = PatternAutoencoder(LINEAR_FROM)
    net.start_from(components)
    # With the curved paths at nothing, what is left is the projection.
    for last in (net.narrow[-1], net.mix):
        last.weight.data.zero_()
    joined = torch.randn(4, WIDTH)
    expected = components.draw(components.raw(joined))
    torch.testing.assert_close(net.draw(net.raw(joined)), expected, atol=1e-4, rtol=1e-4)


def test_the_error_of_the_mean_map_is_its_own_distance():
    coder = PatternPca(2)  # directions 0: always the mean
    maps, cls = made(200)
    coder.scaling.fit(maps, cls)
    assert float(coder.errors(maps, cls).mean()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", [PatternAutoencoder, PatternPca])
def test_a_file_gives_the_same_coder(kind, tmp_path):
    coder = kind(3)
    maps, cls = made()
    coder.scaling.fit(maps, cls)
    path = tmp_path / "coder.safetensors"
    path.write_bytes(coder_bytes(coder, {"model": "made"}))
    again, about = read_coder(path)
    assert (again.kind, again.latent_size, about) == (coder.kind, 3, {"model": "made"})
    with torch.no_grad():
        torch.testing.assert_close(again.encode(maps, cls), coder.encode(maps, cls))


def test_files_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "coder.safetensors"
    for data in (b"", b"no coder at all", coder_bytes(PatternPca(2))[:-100]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"coder\.safetensors"):
            read_coder(path)
    with pytest.raises(ValueError, match="missing"):
        read_coder(tmp_path / "none")


def test_a_latent_of_no_size_is_refused():
    with pytest.raises(ValueError, match="latent size of 1 to 256"):
        PatternAutoencoder(0)
