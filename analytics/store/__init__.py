"""What is kept on disk, under the hash of its content, and how results were made."""
