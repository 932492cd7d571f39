"""Which heads carry syntax? Three relations on generated sentences, whose trees are known: the head, its accuracy, the baseline.

python examples/syntax_heads.py
"""

import interp
from interp.texts.grammar.generate import generate

sentences = generate(240, seed=0, split="confirmation")
table = interp.relations(interp.load("small"), sentences, names=["det", "amod", "obj"], n_untrained=0)
print(table)
print("Nothing is called supported here: that takes untrained twins (n_untrained=5).")
