"""What the server holds and answers below /atlas/; exports shared with the command line."""
