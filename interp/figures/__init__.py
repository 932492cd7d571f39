"""Results as figures: one description, drawn on the screen or for print, with the numbers beside it.

    from_results   labelled result -> description (heat map, bars, lines)
    by_token       numbers at each token -> description (neurons, layers)
    from_profile   statistic of a corpus run -> description (weight by distance, tokens by activation, two against each other)
    stream         the residual stream by depth, patches by layer and place, before and after an intervention
    description    what a figure shows: arrays, labels, units, n, caption; nothing about ink
    screen         description -> plotly figure, self-contained HTML
    paper          description -> PDF, SVG, PNG through matplotlib
    table          description -> CSV of what is drawn
    sheets         several descriptions -> one PDF, a sheet of A4 each
    kept           description <-> JSON, to be drawn again later
    figure         the three together: `Figure(description).save("heads.pdf")`

Nothing is computed here that is not already in the result, but for sums that keep a figure readable and say so ("other (7 parts)").
Importing this package loads neither plotly nor matplotlib.
"""
