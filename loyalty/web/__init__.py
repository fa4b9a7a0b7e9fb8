"""The portals' common ground: design system, templates, languages, formats, receipts and exports.

A portal is a folder here, `loyalty/web/<portal>/`:

- `pages.py`: Litestar handlers that `return rendering.render(request, "<portal>/find.html", frame=…, fragment="result", …)`, on a
  router with `exception_handlers=problems.page_handlers()`, so that a refusal becomes a page, or under htmx a notice in `#problem`
- `templates/`: extends `frame.html` (rail and page), `sheet.html` (one thing in the middle) or `phone.html`; the macros `ui`, `form`,
  `table`, `chart` and the formats `f` are at hand without an import. /design shows every piece (`gallery/` is how it is made)
- words: English in `_("…")`, Chinese in `locales/zh_CN/<portal>.po`, brought up to date by `python -m loyalty.web.words <portal>`
- `pictures.py`: `PICTURES` for `dev.py pictures`
- a form that moves money: `form.form(…, once=key)` with a key made by the server; static/offline.js sends it once whatever the network does
"""
