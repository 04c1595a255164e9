"""Pure functions from tensors to quantities; each is defined once, with its known answers."""
