"""Pages of organisations, keys and people, one module each."""
