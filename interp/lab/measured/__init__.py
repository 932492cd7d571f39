"""What the cards say of the models, each figure measured by the toolkit's own instrument.

One file for each question; each gives a frozen record of numbers that can write itself as rows of a table and as one line. `alone` (in
`all_of`) is what can be measured again on the shipped files by themselves; figures that need held-out books are made where a run ends.
"""
