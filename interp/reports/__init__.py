"""Verdicts in a folder, or figures that were pinned, as one report that can be handed on.

collected   folder of `interp judge --out` -> rows: a claim on a model, its verdict, or why it was not run
overview    records -> counts by document and model, a line for each claim
tables      rows -> CSV, JSON, Markdown
html        rows -> one self-contained page with a filter and a card for each verdict
pinned/     pinned figures, or a corpus run's maps -> one page, one PDF, a zip with every file and its Python
write       all of them into the folder
"""
