"""Change a running model and see what follows. Always undone, never silent.

ablate        switch heads, neurons, experts or sublayers off
knock_out     hide one token from another
patch         put in what another text has in the same place; `patch_grid` does it place by place
effects       before and after in a few numbers; `side_by_side` token by token
usual         generated texts to take means and other values from
"""
