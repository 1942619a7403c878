"""The APIs we imitate, each found by its entry point."""
