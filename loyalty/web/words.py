"""Which sentences the pages use, and the catalogues that must have them.

`python -m loyalty.web.words cashier` adds what is missing to `locales/<language>/cashier.po`, drops what nobody uses, and lists what is
still to be translated. A portal's sentences stand in its own file, unless `base.po` has them: the words of the shared pieces and the terms
of the trade that the page of all pieces shows.
"""

import ast
import io
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from loyalty.web.i18n import FOLDER, LOCALES
from loyalty.web.rendering import ROOMS

BASE = "base"
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None, "plain": None}

MessageId = str | tuple[str, str]


def used(folders: Iterable[Path] = ROOMS) -> dict[MessageId, set[str]]:
    """Return every sentence of the templates and of the Python beside them, with the portals that say it."""
    found: dict[MessageId, set[str]] = defaultdict(set)
    paths = [(room, path) for room in folders for ending in ("html", "py") for path in room.rglob(f"*.{ending}")]
    for folder, path in sorted(paths):
        inside = path.relative_to(folder).parts
        portal = inside[0] if len(inside) > 1 and inside[0] not in {"templates", "gallery"} else BASE
        method = "jinja2.ext:babel_extract" if path.suffix == ".html" else "python"
        options = {
            "newstyle_gettext": "true",
            "trim_blocks": "true",
            "lstrip_blocks": "true",
            "extensions": "jinja2.ext.do",
            "silent": "false",
        }
        for _line, message, _comments, _context in extract_from_file(
            method, path, keywords=_KEYWORDS, options=options if path.suffix == ".html" else {}
        ):
            said: MessageId = message if isinstance(message, str) else (message[0], message[1])
            if said:
                found[said].add(portal)
        if path.suffix == ".py":
            for said in _within_f_strings(path):
                found[said].add(portal)
    return dict(found)


def _within_f_strings(path: Path) -> Iterator[str]:
    """Find the sentences that stand within f-strings: to the extractor these are one token before Python 3.12."""
    for part in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(part, ast.JoinedStr):
            continue
        for call in ast.walk(part):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in {"_", "N_"} and call.args:
                said = call.args[0]
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
                    yield said.value


def main(arguments: list[str]) -> int:
    """Bring the catalogues of the named portals (all, if none is named) up to date; 1 while one of their sentences is untranslated."""
    sentences = used()
    portals = arguments or sorted(set().union(*sentences.values()))
    waiting = 0
    for locale in LOCALES:
        if locale == "en":
            continue  # the sentences themselves are English
        known = {portal: catalogue(locale, portal) for portal in {BASE, *portals}}
        for portal in portals:
            mine = {said for said, users in sentences.items() if portal in users and (portal == BASE or not known[BASE].get(said))}
            kept = {said: known[portal].get(said) or known[BASE].get(said) for said in mine}
            _write(locale, portal, kept)
            untranslated = [str(said) for said, string in kept.items() if not string]
            waiting += len(untranslated)
            sys.stdout.writelines(f"{locale} {portal}: {said}\n" for said in sorted(untranslated))
    sys.stdout.write(f"{waiting} to translate\n")
    return 1 if waiting else 0


def catalogue(locale: str, portal: str) -> dict[MessageId, str | tuple[str, ...]]:
    """Return a portal's catalogue; sentences without translation, or with a doubtful one (fuzzy), are left out."""
    path = FOLDER / locale / f"{portal}.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        messages = [message for message in read_po(file, locale=locale) if message.id and not message.fuzzy]
    return {
        message.id if isinstance(message.id, str) else (message.id[0], message.id[1]): (
            message.string if isinstance(message.string, str) else tuple(message.string)
        )
        for message in messages
        if message.string and all(message.string)
    }


def _write(locale: str, portal: str, sentences: dict[MessageId, str | tuple[str, ...] | None]) -> None:
    made = Catalog(locale=locale, fuzzy=False)
    for said, string in sorted(sentences.items(), key=str):
        made.add(said, string=string or ("" if isinstance(said, str) else ("",)))
    out = io.BytesIO()
    write_po(out, made, width=0, omit_header=True, no_location=True, sort_output=True)
    path = FOLDER / locale / f"{portal}.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_HEADER + out.getvalue().decode(), encoding="utf-8")


# Without dates and names, so that two people who add words do not collide in the head.
_HEADER = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
