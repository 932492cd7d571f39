"""The document's own sentence: what heads do on it, beside what the corpus-level test says of the same heads.

A picture of one sentence decides nothing: the head that looks the right way on it may be right no more often than the next.
"""

import re

import streamlit as st

from interp import api
from interp.claims.claim import Claim, Illustration
from interp.claims.verdict import Verdict
from interp.dashboard import footer
from interp.dashboard.words import in_plain_words, literal
from interp.models.model import Model

HEAD = re.compile(r"L\d+H\d+")
SHOWN = 5


def show(claim: Claim, verdict: Verdict, model: Model) -> None:
    """Heads on the claim's sentences; nothing where there is none, or nothing of heads to see on it."""
    a_head = bool(HEAD.fullmatch(verdict.site))
    examples = {one.text: one for one in claim.examples if a_head or one.from_word}
    if not examples or model.anatomy.encoder_decoder:
        return
    with st.container(border=True, key="own-sentence"):
        st.markdown(
            "**On the document's own sentence**" + (f": {literal(next(iter(examples)))}" if len(examples) == 1 else ", or its twin")
        )
        text = next(iter(examples)) if len(examples) == 1 else str(st.radio("Sentence", list(examples), label_visibility="collapsed"))
        with in_plain_words():
            if examples[text].from_word:
                _heads(examples[text], verdict, model)
            if a_head:
                _pattern(claim, text, verdict, model)
        n = verdict.evidence[0].n_items if verdict.evidence else 0
        st.caption(f"One sentence shows what to look for, and decides nothing: the verdict above is over {n} items of other texts.")


def _heads(one: Illustration, verdict: Verdict, model: Model) -> None:
    """The heads with the most weight between the two words, and the verdict's; beside each what it reaches on the texts."""
    source, target = one.from_word, one.to_word
    if model.anatomy.causal and one.text.find(source) < one.text.find(target):
        source, target = target, source  # a causal mask hides what comes later: the later word can look at the earlier one only
    weights = api.capture(model, one.text).between(source, target)
    by_head = dict(zip(weights.site.values.ravel().tolist(), weights.values.ravel().tolist(), strict=True))
    most = sorted(by_head, key=by_head.__getitem__, reverse=True)[:SHOWN]
    chosen = [verdict.site] if verdict.site in by_head and verdict.site not in most else []
    rows = {
        f"weight from “{source}” to “{target}”": [f"{by_head[head]:.2f}" for head in (*most, *chosen)],
        "on the texts of the verdict": [f"{verdict.rows[head][0]:.1%}" if head in verdict.rows else "" for head in (*most, *chosen)],
    }
    heads = [f"{head} (the verdict's)" if head == verdict.site else head for head in (*most, *chosen)]
    st.table({"head": heads, **{name: values for name, values in rows.items() if any(values)}}, hide_index=True, border="horizontal")
    if not any(head in verdict.rows for head in by_head):
        st.caption("This claim is about no single head; what heads do with such words over texts is tested by S4-14 and S4-40.")


def _pattern(claim: Claim, text: str, verdict: Verdict, model: Model) -> None:
    """The pattern of the verdict's head."""
    pattern = api.capture(model, text).pattern(verdict.site)
    lines = f"import interp\nseen = interp.capture(interp.load({model.name!r}), {text!r})\n"
    python = f"{lines}interp.figure(seen.pattern({verdict.site!r}))"
    footer.draw(api.figure(pattern), name=f"{model.name}-{claim.id}-{verdict.site}", python=python)
