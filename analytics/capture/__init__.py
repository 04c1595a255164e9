"""Reading attention out of a live model, and switching heads off in it."""
