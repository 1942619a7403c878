"""What one sandbox remembers."""
