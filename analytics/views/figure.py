"""Charts to files, offline: SVG, PNG and PDF that carry their title and provenance."""

from __future__ import annotations

import io
import re
from typing import Any, Literal
from xml.sax.saxutils import escape

from analytics.views.lens import NEAREST

Kind = Literal["svg", "png", "pdf"]
PNG_SCALE = 2.0


def render(chart: Any, kind: Kind, title: str, description: str) -> bytes:
    """Draw an Altair chart.

    Args:
        chart: any chart; parts named `nearest...` are drawn without smoothing.
        kind: `svg`, `png` or `pdf`.
        title: one line for the file's metadata.
        description: text for the file's metadata, the provenance as JSON for instance.

    Raises:
        ValueError: another kind is asked for.
    """
    import vl_convert

    if kind not in ("svg", "png", "pdf"):
        raise ValueError(f"expected svg, png or pdf; got {kind!r}")
    spec = vl_convert.vegalite_to_vega(chart.to_dict())
    _sharpen(spec)
    if kind == "svg":
        return _label_svg(vl_convert.vega_to_svg(spec), title, description).encode()
    if kind == "png":
        return _label_png(vl_convert.vega_to_png(spec, scale=PNG_SCALE), title, description)
    return _label_pdf(vl_convert.vega_to_pdf(spec), title, description)


def _sharpen(spec: dict[str, Any]) -> None:
    """Switch smoothing off; Vega-Lite has no word for it, Vega has."""
    for mark in spec.get("marks", []):
        if mark["type"] == "image" and NEAREST in mark.get("name", ""):
            mark["encode"].setdefault("enter", {})["smooth"] = {"value": False}
        _sharpen(mark)


def _label_svg(svg: str, title: str, description: str) -> str:
    """Title and metadata as the first children of the root element."""
    label = f"<title>{escape(title)}</title><metadata>{escape(description)}</metadata>"
    return re.sub(r"(<svg\b[^>]*>)", lambda found: found.group(1) + label, svg, count=1)


def _label_png(data: bytes, title: str, description: str) -> bytes:
    """Text chunks `Title` and `Description`; the pixels stay as they are."""
    from PIL import Image, PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_itxt("Title", title)
    text.add_itxt("Description", description)
    with Image.open(io.BytesIO(data)) as image:
        out = io.BytesIO()
        image.save(out, "PNG", pnginfo=text, dpi=image.info.get("dpi", (72, 72)))
    return out.getvalue()


def _label_pdf(data: bytes, title: str, description: str) -> bytes:
    """Title and subject, appended as a newer document information (an incremental update)."""
    trailer = data[data.rindex(b"trailer") :]
    root = re.search(rb"/Root (\d+ \d+ R)", trailer)
    size = re.search(rb"/Size (\d+)", trailer)
    start = re.search(rb"startxref\s+(\d+)", trailer)
    if not (root and size and start):
        return data
    number, offset = int(size.group(1)), len(data) + 1
    info = f"{number} 0 obj\n<< /Title {_pdf_text(title)} /Subject {_pdf_text(description)} >>\n"
    body = b"\n" + info.encode() + b"endobj\n"
    table = f"xref\n{number} 1\n{offset:010d} 00000 n\r\n"
    tail = (
        f"trailer\n<< /Size {number + 1} /Root {root.group(1).decode()} /Info {number} 0 R"
        f" /Prev {start.group(1).decode()} >>\nstartxref\n{len(data) + len(body)}\n%%EOF\n"
    )
    return data + body + table.encode() + tail.encode()


def _pdf_text(text: str) -> str:
    """A text string of a PDF: UTF-16 with its mark, in hexadecimal."""
    return f"<{(chr(0xFEFF) + text).encode('utf-16-be').hex()}>"
