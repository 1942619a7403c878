"""Batches: input files, lines, output and error files."""
