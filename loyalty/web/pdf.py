"""Paper: typst documents with Noto Sans SC from the installed fonts, never from the network or the system.

The same data give the same bytes: neither clock nor machine goes into a document.
"""

import functools
import json
from pathlib import Path
from typing import Any

import typst
from pylopdf_fonts_zh_cn import sans_path

from loyalty.web import qr

FOLDER = Path(__file__).parent / "typst"
_PICTURE_PPI = 130


def typst_pdf(template: str, data: dict[str, Any]) -> bytes:
    """Return the PDF of `typst/<template>.typ` filled with `data` (what JSON can say; texts are shown as they are, never run).

    `receipt`: an 80 mm slip as long as it must be. Texts: `title`, `entity`, `station`, `number`, `copy` (the mark of a reprint, empty on
    the first), `qr` (a URL, may be empty), `qr_note`; `head`, `discounts`, `tenders`, `after`: [[name, text], …]; `lines`:
    [{name, detail, amount}, …]; `totals`: [[name, text, strong], …]; `notes`: [text, …].

    `sheet`: A4. Texts: `title`, `subtitle`, `issuer`, `page_words` ("Page {page} of {pages}"), `footer`; `facts`: [[name, text], …];
    `columns`: [{label, kind: text|num, width: a typst length or fraction}, …]; `rows` and `totals` (may be empty): lists of texts; `notes`.

    :raises typst.TypstError: if the data do not fit the template
    """
    return _compiled(template, data, format="pdf")


def typst_png(template: str, data: dict[str, Any]) -> bytes:
    """Return the same as one picture, for templates of a single page; raises like `typst_pdf`."""
    return _compiled(template, data, format="png", ppi=_PICTURE_PPI)


def _compiled(template: str, data: dict[str, Any], **how: Any) -> bytes:
    words = dict(data)
    if words.get("qr"):
        words["qr"] = qr.svg(words["qr"])
    made: bytes = typst.compile(
        FOLDER / f"{template}.typ",
        root=FOLDER,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(words, ensure_ascii=False)},
        timestamp=0,
        **how,
    )
    return made


def copy_mark(copies: int) -> str:
    """Return what a reprint says: nothing on the first print, then 副本 COPY 1, 2…"""
    return f"副本 COPY {copies}" if copies else ""


@functools.cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(sans_path().parent)])
