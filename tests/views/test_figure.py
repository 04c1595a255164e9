"""The figure of a lens view: its parts, its sizes, and what the files carry."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from analytics.types import PatchGrid, Picture, Placement
from analytics.views.colours import NO_DATA, paint
from analytics.views.figure import render
from analytics.views.lens import LensFigure, lens_chart
from analytics.views.maps import LayerMaps, LensView
from analytics.views.raster import data_url, seen_by_model

PLACE = Placement("crop", 224, 224, 0.0, 75.5, 300 / 224, 300 / 224)


def layers(shapes, prefix=1):
    rng = np.random.default_rng(5)
    names = ("cls", "reg0")[:prefix]
    found = []
    for number, (heads, rows, columns) in enumerate(shapes):
        row = rng.gamma(0.3, size=(heads, prefix + rows * columns)).astype(np.float32)
        row /= row.sum(axis=1, keepdims=True)
        found.append(LayerMaps(f"L{number}", names, PatchGrid(rows, columns), row))
    return tuple(found)


def figure(shapes, prefix=1, **view):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 451, 3), np.uint8)
    made = layers(shapes, prefix)
    return LensFigure(
        picture=Picture("noise.png", "0" * 64, pixels),
        placement=PLACE,
        base=made[0].grid,
        layers=made,
        view=LensView("7,9", **view),
        query=(131.0, 244.0, 150.0, 263.0),
        caption=("A caption of one sentence.",),
    )


def decoded(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def charts(chart, name):
    """Parts of a chart by the start of their name, as specifications."""
    found, left = [], [chart.to_dict()]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            found += [part] if str(part.get("name", "")).startswith(name) else []
            left += list(part.values())
        elif isinstance(part, list):
            left += part
    return found


@pytest.mark.parametrize(
    ("shapes", "view"),
    [
        ([(6, 16, 16)] * 12, {"layer": 11, "head": 2}),
        ([(12, 14, 14)] * 12, {"layer": 0, "head": 11, "scale": "layer"}),
        ([(16, 24, 24)] * 24, {"layer": 23, "head": 15, "scale": "all"}),
        ([(3, 56, 56), (6, 28, 28), (12, 14, 14), (24, 7, 7)], {"layer": 3, "head": 23}),
        ([(3, 8, 8), (6, 4, 4)], {"heads": ((0, 0), (1, 5)), "cmap": "greys"}),
    ],
)
def test_matrix_holds_every_head(shapes, view):
    chart = lens_chart(figure(shapes, **view))
    (matrix,) = charts(chart, "nearest_matrix")
    rows = matrix["data"]["values"]
    assert len(rows) == sum(heads for heads, _, _ in shapes)
    heads, high, wide = shapes[-1]
    assert decoded(rows[-1]["url"]).shape == (high, wide, 3)
    assert max(row["x2"] for row in rows) - min(row["x"] for row in rows) < 620
    text = json.dumps(chart.to_dict())
    assert f'"L{len(shapes) - 1}"' in text and f'"H{heads - 1}"' in text


def test_small_maps_have_the_colours_of_their_values():
    made = figure([(2, 4, 4)], layer=0, head=1, scale="all")
    (matrix,) = charts(lens_chart(made), "nearest_matrix")
    high = float(np.percentile(made.layers[0].patches, 99.5))
    for row, values in zip(matrix["data"]["values"], made.layers[0].patches, strict=True):
        assert np.array_equal(decoded(row["url"]), paint(values, "inferno", high))


def test_missing_values_are_grey_and_said():
    made = figure([(2, 4, 4)])
    made.layers[0].attention[:] = np.nan
    chart = lens_chart(made)
    (matrix,) = charts(chart, "nearest_matrix")
    assert (decoded(matrix["data"]["values"][0]["url"]) == NO_DATA).all()
    assert "no such token" in json.dumps(chart.to_dict())
    assert render(chart, "svg", "t", "d").startswith(b"<svg")


def test_query_is_outlined_where_the_model_saw_it():
    made = figure([(2, 16, 16)])
    text = json.dumps(lens_chart(made).to_dict())
    across = 480 / 300
    assert f'"x": {(244.0 - 75.5) * across}' in text
    without = json.dumps(lens_chart(replace(made, query=None)).to_dict())
    assert f'"x": {(244.0 - 75.5) * across}' not in without


def test_colour_bar_names_its_scale_and_its_end():
    made = figure([(2, 4, 4)], scale="layer")
    (bar,) = charts(lens_chart(made), "nearest_bar")
    axis = bar["encoding"]["x"]
    assert "one scale per layer" in axis["title"] and "99.5" in axis["title"]
    assert axis["scale"]["domain"][1] == pytest.approx(np.percentile(made.layers[0].patches, 99.5))


def test_heads_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="head from 0 to 1"):
        lens_chart(figure([(2, 4, 4)], head=2))


def test_files_are_of_their_kind_and_carry_their_metadata():
    chart = lens_chart(figure([(2, 4, 4)]))
    svg = render(chart, "svg", "A <title>", '{"a": "b & c"}').decode()
    assert "<title>A &lt;title&gt;</title>" in svg and "b &amp; c" in svg
    assert svg.count("image-rendering: pixelated") == 2 + 1 + 1
    with Image.open(io.BytesIO(render(chart, "png", "Täst", "d"))) as image:
        assert image.text == {"Title": "Täst", "Description": "d"}
    with pytest.raises(ValueError, match="svg, png or pdf"):
        render(chart, "gif", "t", "d")


def test_pdf_has_a_title_that_its_tables_lead_to():
    data = render(lens_chart(figure([(2, 4, 4)])), "pdf", "Title", "Subject")
    start = int(re.findall(rb"startxref\s+(\d+)", data)[-1])
    table = data[start:]
    number, offset = re.match(rb"xref\n(\d+) 1\n(\d{10})", table).groups()
    info = data[int(offset) :]
    assert info.startswith(number + b" 0 obj")
    assert "Title".encode("utf-16-be").hex().encode() in info
    assert b"/Info " + number + b" 0 R" in table
    older = int(re.search(rb"/Prev (\d+)", table).group(1))
    assert data[older:].startswith(b"xref")


def test_large_model_stays_below_two_megabytes():
    svg = render(lens_chart(figure([(16, 37, 37)] * 24)), "svg", "t", "d")
    assert len(svg) < 2_000_000


def test_padding_is_grey_and_the_picture_where_it_belongs():
    pixels = np.full((100, 200, 3), 250, np.uint8)
    place = Placement("pad", 200, 200, -50.0, 0.0, 1.0, 1.0)
    seen = seen_by_model(Picture("p", "0" * 64, pixels), place, 100)
    assert seen.shape == (100, 100, 3)
    assert (seen[:25] == 128).all() and (seen[75:] == 128).all() and (seen[25:75] == 250).all()


def test_data_urls_keep_pixels_exactly():
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 4), np.uint8)
    assert np.array_equal(decoded(data_url(pixels)), pixels)
    assert data_url(pixels[..., :3], photo=True).startswith("data:image/jpeg")
