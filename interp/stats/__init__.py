"""Arrays in, numbers out: intervals, permutation tests, equivalence, power, multiplicity, the split. Never sees a model.

Glossary
    item        one scored case: a relation in a sentence, a minimal pair, a token
    cluster     what items are correlated within and what is resampled: sentence, document, template, seed
    member      one hypothesis of a family that is tested together: a head, a head by relation, a layer

Every function that draws takes `seed` and gives the same answer for it. What cannot be computed raises ValueError.
"""
