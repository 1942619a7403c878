"""How a provider is declared, and what its handlers are given."""
