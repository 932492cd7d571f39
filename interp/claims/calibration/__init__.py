"""Can the engine itself be trusted? Verdicts on cases whose truth is known, and how often they are right.

cases         what a case is: a claim, a model, data; and the models that cases are made of
world         a small world of annotated sentences, and labels that mean nothing in it
nulls         cases in which the claim is not true: how often is it "supported" all the same? (of heads, of words, of parts)
labour        a model in which it is known whether attention and the FFN divide their work
planted       what was written by hand, whole and weakened: how often is it found, by how strong it is?
equals        heads that are all alike and no better than the baseline, 144 of them: does the best of them come out supported?
known_tables  numbers that are known, beside what the engine makes of them
runs          all of these, one after the other, each kept as soon as it is done, so that a stopped calibration goes on
calibrated    what came out: shares with their intervals, p-values against uniform ones, the power curve

Protocols that are exact have no rate of false positives: each of their verdicts carries a control that must show an effect.
"""
