"""Does removing the FFN make a transformer linear? A model that never had one: its attention, and what it can do all the same.

python examples/without_ffn.py
"""

import interp
from interp.texts.grammar.generate import generate

model = interp.load("small-attn")
sentences = generate(80, seed=0, split="confirmation")
held, live, copies = (interp.judge(claim, model, sentences) for claim in ("S1-17", "S3-09", "S3-04"))
print(f"with its pattern held, attention is linear: {held.outcome}. {held.summary}")
print(f"without an FFN the model is a stack of linear maps: {live.outcome}. {live.summary}")
print(f"it cannot copy what follows an earlier copy: {copies.outcome}. {copies.summary}")
