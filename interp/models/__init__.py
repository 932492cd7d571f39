"""Loading a transformer so that it can be seen into: its anatomy, its attention, the points where it is watched."""
