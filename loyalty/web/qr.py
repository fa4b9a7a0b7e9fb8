"""QR codes drawn as SVG."""

import io

import segno


def svg(text: str, *, error: str = "m") -> str:
    """Return an SVG document of `text` (a URL, at most about 2,300 bytes), black on white with its quiet zone."""
    out = io.BytesIO()
    segno.make(text, error=error, micro=False).save(
        out, kind="svg", border=2, scale=1, dark="#000", light="#fff", xmldecl=False, svgns=True
    )
    return out.getvalue().decode()


def data_uri(text: str) -> str:
    """Return the code as an image address, which the page policy allows (`img-src data:`)."""
    return str(segno.make(text, error="m", micro=False).svg_data_uri(border=2, scale=1, dark="#000", light="#fff", omitsize=True))
