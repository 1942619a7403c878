"""The process: socket, HTTP protocol, signals."""
