"""A probabilistic grammar of English that gives sentences without end, with everything about them known, and in Chinese.

    generate(100, seed=1)                                   sentences: words, heads, constituents, reference, translation
    passages(10, seed=1)                                    two sentences, a pronoun in the second
    agreement_pairs(10, seed=1, attractors=2)               "The dogs near the towers ... are / is"
    winograd_pairs(10, seed=1), gender_pairs(10, seed=1)    one word decides what a pronoun means
    sense_sets(10, seed=1, distance=6)                      a cue decides what "bank" means
    conllu(sentences), texts(seed=1)                        a treebank; plain text to train on

The way of a sentence: `rules` and `draw` choose a derivation from the words of `lexicon`; `english` makes of it a tree of words
(`tree`), `chinese` the translation; `realise` puts both together (`sentence`).

Three splits. `selection` and `confirmation` share no content word and no template of a task; `train` has all words and none of
their sentences. What this does not give: text as people write it. Whatever holds here holds of these constructions and words.
"""
