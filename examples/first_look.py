"""Which head of the bundled model looks at the previous token, and what is lost without it?

python examples/first_look.py
"""

import interp

TEXT = "The old man looked at the sea, and the old man said nothing."

model = interp.load()
seen = interp.capture(model, TEXT)
previous = seen.head_map("previous")
best = previous.where(previous == previous.max(), drop=True)
head = str(best.site.item())
print(f"{head} puts {float(previous.max()):.2f} of its weight on the previous token, on average over {previous.attrs['n']} tokens")

change = interp.effect(model, TEXT, lambda: interp.ablate(model, [head], how="zero"))
print(f"without it each token costs {change.nats:+.3f} nats (before: {change.loss_before_nats:.3f})")
