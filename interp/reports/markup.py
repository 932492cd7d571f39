"""What all parts of a page share: words that are no markup, the place of a verdict's card, its badge."""

import html

from interp.reports.collected import Row

CLASSES = {"supported": "yes", "refuted": "no", "inconclusive": "open", "not applicable": "off", "not run": "off"}


def escaped(text: object) -> str:
    """The words as they are, whatever stands in them."""
    return html.escape(str(text))


def anchor(row: Row) -> str:
    """Where its card stands on the page."""
    return escaped(f"{row.claim}--{row.folder}".replace(" ", "-"))


def linked(row: Row, words: str) -> str:
    """The words, leading to the card of its verdict."""
    return f'<a href="#{anchor(row)}">{escaped(words)}</a>'


def badge(outcome: str) -> str:
    """An outcome, in its colour."""
    return f'<span class="badge {CLASSES.get(outcome, "off")}">{escaped(outcome)}</span>'
