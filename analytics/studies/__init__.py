"""Things that run or fit a model over data and return a frozen record."""
