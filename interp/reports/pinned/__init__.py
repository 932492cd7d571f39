"""Figures that were pinned along the way, in their order, with captions: one page, one PDF, or a folder with every file and its Python.

    pin       a figure, the Python that gives it, the address of its view, and what its reader says about it
    page      pins -> one HTML page that loads nothing from elsewhere
    bundle    pins -> a zip: page, PDF, every figure's files, a script; and its pins.json, from which all of it can be made again
    of_run    a corpus run's folder -> pins, a map of each statistic

The same pins give the same bytes.
"""
