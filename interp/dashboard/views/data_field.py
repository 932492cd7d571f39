"""On which sentences is it tested? A file on the machine where the dashboard runs, or generated ones; asked alike on each page."""

import os
from pathlib import Path

import streamlit as st

from interp.claims.protocols.protocol import Needs
from interp.claims.tested_on import GRAMMAR
from interp.dashboard import served
from interp.dashboard.views.reading import typed
from interp.dashboard.words import in_plain_words

TREEBANK = Path("ud_english_ewt") / "en_ewt-ud-test.conllu"
WHERE = {
    "treebank": (
        "This is tested on annotated sentences: a treebank in CoNLL-U format. A good one is Universal Dependencies' English "
        "Web Treebank (CC BY-SA 4.0): download `en_ewt-ud-test.conllu` from "
        "[github.com/UniversalDependencies/UD_English-EWT](https://github.com/UniversalDependencies/UD_English-EWT) and give its path "
        "here; or write `grammar` for generated sentences."
    ),
    "texts": "This is tested on plain text: give the path of a .txt file with one text a line, or of a .conllu treebank; or write "
    "`grammar` for generated sentences.",
}
_LABELS = {"treebank": "Treebank (.conllu), or grammar", "texts": "Texts (.txt or .conllu), or grammar"}
_HELP = "A file on the machine where the dashboard runs. `grammar`: generated sentences, whose trees, antecedents and senses are known."


def ask(needs: Needs, *, default: str | None = None) -> str:
    """The field; without an answer, where to get some. Args: default: None: the treebank of INTERP_DATA, where it is there."""
    folder = os.environ.get("INTERP_DATA")
    there = Path(folder) / TREEBANK if folder else None
    own = there is not None and there.is_file() and not served.to_others()
    offered = default if default is not None else str(there) if own else ""
    path = typed(f"data-{needs}", _LABELS[needs], offered, placeholder="path to the file, or grammar", help=_HELP).strip()
    if not path:
        st.info(WHERE[needs], icon=":material/menu_book:")
    with in_plain_words():
        return served.path(path) if path else ""
    return ""


def stamp(path: str) -> tuple[str, ...]:
    """What tells one content of a file from another: what was found on the one is not shown for the other."""
    if path in ("", GRAMMAR) or not Path(path).exists():
        return (path,)
    told = Path(path).stat()
    return (path, str(told.st_mtime_ns), str(told.st_size))
