"""A second text like the first but for a word, and of as many tokens: what a patch can be taken from, offered before anybody types one."""

import re

import streamlit as st

from interp.captures.activations import Activations
from interp.texts.tokens import tokenize

WORDS = ("house", "road", "town", "man", "sea", "dog", "garden", "water", "woman", "boat", "dogs", "small")


def alike(seen: Activations) -> str:
    """The text with a word exchanged, one behind an article if there is one; the text itself where no other has as many tokens."""
    return _alike(seen.example.text, len(seen.example), seen.model.fingerprint, seen.model.tokenizer)


@st.cache_data(max_entries=64, show_spinner=False)
def _alike(text: str, n_tokens: int, fingerprint: str, _tokenizer) -> str:
    behind_article = list(re.finditer(r"(?<=the )[a-z]{3,}|(?<=The )[a-z]{3,}", text))
    for match in [*reversed(behind_article), *re.finditer(r"[a-z]{3,}", text)]:
        for word in WORDS:
            other = f"{text[: match.start()]}{word}{text[match.end() :]}"
            if word != match[0] and len(tokenize(other, _tokenizer)) == n_tokens:
                return other
    return text
