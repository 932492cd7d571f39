"""One's own claim, without code: which words a head should look from and to, or a whole claim file written in place."""

import streamlit as st

from interp.claims.claim import Claim
from interp.claims.claim_files import claim_from_yaml, to_yaml
from interp.claims.own import MARGIN, MARGIN_SOURCE, attends
from interp.claims.protocols.registry import PROTOCOLS
from interp.dashboard import served
from interp.dashboard.words import in_plain_words

FILE = "claim.yaml"
LINE, YAML = "A head attends …", "Any protocol, as YAML"
SELECTORS = """
| a word | |
|---|---|
| `upos=PRON` | part of speech; also `deprel`, `lemma`, `form` |
| `lemma=it\\|they` | any of these |
| `form~un.*ed` | a regular expression for the whole word |
| `upos=VERB & lemma~s.*` | all of these |
| **seen from it** | |
| `head`, `dependent` | what it hangs on; what hangs on it |
| `offset=-2` | two words before it |
| `link=Antecedent` | what a pair annotation leads to |
"""
EXAMPLE = """id: my-claim
statement: Some head attends from verbs to their objects.
kind: [obs]
quantifier: some
scope: every transformer with self-attention
test:
  protocol: attends
  from_words: upos=VERB
  to_words: dependent & deprel=obj
  margin: 0.1
  margin_source: Voita et al. (2019), section 5.2
does_not_show: that the model uses the head.
"""


def form() -> Claim | None:
    """The claim that the form holds now; None, with a message, while it holds none."""
    how = st.radio("How is it said?", [LINE, YAML], key="own-how", horizontal=True)
    with in_plain_words():
        claim = served.claim(_line() if how == LINE else _yaml())
        st.download_button(
            "Claim as YAML",
            to_yaml(claim),
            FILE,
            "text/yaml",
            key="claim-yaml",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
            help="For `interp judge claim.yaml`; its hash is the one that the verdict keeps",
        )
        return claim
    return None


def _line() -> Claim:
    from_ = st.text_input("From these words", "deprel=obj", key="own-from", help=SELECTORS)
    to = st.text_input("to those", "head", key="own-to", help=SELECTORS)
    head = st.text_input(
        "Head", "", key="own-head", placeholder="any; or one such as L2H0", help="Named in advance, it is the only one that is looked at"
    )
    margin = st.number_input(
        "Smallest gain that matters", 0.01, 0.99, MARGIN, 0.01, key="own-margin", help="Accuracy over the best fixed offset"
    )
    source = st.text_input("Why that much", MARGIN_SOURCE, key="own-source")
    return attends(from_=from_, to=to, head=head.strip() or None, margin=margin, margin_source=source)


def _yaml() -> Claim:
    text = st.text_area("The claim", EXAMPLE, key="own-yaml", height=340)
    with st.expander("Protocols and what they take"):
        for name, protocol in PROTOCOLS.items():
            fields = [field for field in protocol.parameters.model_fields if field != "protocol"]
            st.markdown(f"`{name}`: {', '.join(f'`{field}`' for field in fields)}")
    return claim_from_yaml(served.claim_file(text), FILE)
