"""A month fetched: the statement on the page, as PDF and as XLSX, for those whose it is."""

import io

from python_calamine import CalamineWorkbook


async def test_a_month_is_shown_and_fetched_as_paper_and_as_a_workbook(portal):
    firm = portal.firms["ours"]
    viewer = await portal.at("ours", "viewer")
    page = (await viewer.get("/fleet/statements")).text
    files = f"/fleet/statements/company/{firm.company_id}/{firm.ids['statement'].removesuffix('.pdf')}"
    assert f'href="{files}.pdf"' in page
    assert f'href="{files}.xlsx"' in page
    paper = await viewer.get(f"{files}.pdf")
    assert paper.headers["content-type"] == "application/pdf"
    assert paper.content.startswith(b"%PDF")
    book = CalamineWorkbook.from_filelike(io.BytesIO((await viewer.get(f"{files}.xlsx")).content))
    assert len(book.sheet_names) == 6
    money = dict(book.get_sheet_by_index(0).to_python())
    assert 10_000.0 in money.values(), "what was loaded"
    periods = (await viewer.get("/fleet/statements/periods")).text
    assert f"{files}.xlsx" in periods


async def test_a_department_s_head_sees_the_department_s_alone(portal):
    firm = portal.firms["ours"]
    head = await portal.at("ours", "department_head")
    page = (await head.get("/fleet/statements")).text
    assert f"/fleet/statements/department/{firm.ids['north-room']}/" in page
    day = firm.ids["statement"]
    for part, whose, expected in (
        ("company", firm.company_id, 404),
        ("department", firm.ids["south-room"], 404),
        ("vehicle", firm.ids["south-vehicle"], 404),
        ("driver", firm.ids["north-driver"], 200),
        ("department", firm.ids["north-room"], 200),
        ("galaxy", firm.ids["north-room"], 404),
    ):
        answer = await head.get(f"/fleet/statements/{part}/{whose}/{day}")
        assert answer.status_code == expected, (part, whose)
    assert (await head.get(f"/fleet/statements?vehicle={firm.ids['south-vehicle']}")).status_code == 404
    assert (await head.get("/fleet/statements?period=2020-01-01")).status_code == 404
    assert (await head.get("/fleet/statements?period=never")).status_code == 404
