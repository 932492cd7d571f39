"""In which layer is "bank" resolved? An encoder on sentences in which one word, the cue, decides for the river or the money.

python examples/bank.py
"""

import interp
from interp.texts.grammar.senses import sense_sets
from interp.texts.senses import sense_sentences

sentences = sense_sentences(sense_sets(120, seed=0, distance=4, words=["bank", "bat", "mouse"]))
verdict = interp.judge("S4-15", interp.load("small-bert"), sentences)
for state, accuracy in verdict.rows.items():
    print(f"{state:44} {' '.join(f'{value:.2f}' for value in accuracy)}")
print(f"{verdict.outcome}{f' ({verdict.reason})' if verdict.reason else ''}: {verdict.summary}")
