"""What one sandbox remembers: accounts, batches, files, clock, stubs, journal."""
