"""Can the engine itself be trusted? Verdicts on cases whose truth is known, and how often they are right.

cases       what a case is: a claim, a model, data; and the twins that the zoo and the constructed models give to make them of
nulls       cases in which the claim is not true: how often is it "supported" all the same?
planted     circuits that were written by hand, whole and weakened: how often are they found, by how strong they are?
equals      heads that are all alike and no better than the baseline, 144 of them: does the best of them come out supported?
runs        all of these, one after the other, each kept as soon as it is done, so that a stopped calibration goes on
calibrated  what came out: shares with their intervals, p-values against uniform ones, the power curve

Protocols that are exact have no rate of false positives: each of their verdicts carries a control that must show an effect.
"""
