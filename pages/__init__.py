"""Pages of the app, one file per question, and what they share."""
