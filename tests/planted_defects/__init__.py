"""Defects planted on purpose, each with the checks that must catch it: what is broken, in which forms, what follows from it.

A defect is a function of (form, monkeypatch) that gives the broken model. `caught_by`: checks that must fail; `follows`: those that may
fail with them, since they rest on the same number. Any other check that fails is a mistake of the check's.
"""

from planted_defects import attention, dead_hooks, lying_hooks, other_anatomies, runs
from planted_defects.table import Defect

DEFECTS: list[Defect] = [one for module in (lying_hooks, dead_hooks, other_anatomies, attention, runs) for one in module.DEFECTS]
