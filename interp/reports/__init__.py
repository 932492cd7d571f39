"""Verdicts in a folder as one report that can be handed on.

collected   folder of `interp judge --out` -> rows: a claim on a model, its verdict, or why it was not run
tables      rows -> CSV, JSON, Markdown
html        rows -> one self-contained page with a filter and a card for each verdict
write       all of them into the folder
"""
