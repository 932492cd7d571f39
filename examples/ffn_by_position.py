"""Does the FFN act on positions alone? Asked of every bundled model: dense, gated, a mixture of experts, an encoder.

python examples/ffn_by_position.py
"""

import interp

MODELS = ("tales", "small", "small-bert", "small-moe", "small-attn")

for name in MODELS:
    verdict = interp.judge("S1-01", interp.load(name))
    print(f"{name:12} {verdict.outcome:15} {verdict.summary}")
