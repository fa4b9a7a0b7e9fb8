"""The portals' common ground: design system, templates, languages, formats, receipts and exports.

What a portal uses: `rendering.render` for pages and fragments, `problems.page_handlers` for refusals, `i18n.Language` and
`formats.Formats` for words and figures, `routes.web_routes` for the files every page needs.
"""
