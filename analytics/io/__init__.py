"""Pictures in: reading, fitting to a model's input, and the places they come from."""
