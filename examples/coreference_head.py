"""Is the coreference head real? The best head from pronouns to antecedents, and the controls that such a head has to stand.

python examples/coreference_head.py
"""

import interp
from interp.texts.grammar.generate import generate

sentences = generate(400, seed=0, split="confirmation", kinds=["winograd", "gender"])
verdict = interp.judge("S4-40", interp.load("small"), sentences)
print(f"{verdict.outcome}{f' ({verdict.reason})' if verdict.reason else ''}: {verdict.summary}")
for one in verdict.evidence:
    print(f"  {one.estimate:.2f} against {one.baseline:.2f} ({one.baseline_name}), p {one.p_adjusted:.2g} of {one.family}")
for control in verdict.controls:
    print(f"  {'as it must' if control.passed else 'NOT as it must'}: {control.name}, {control.value:.2f} {control.unit}")
