"""Chat completions and embeddings: text, tools, tokens, streams."""
