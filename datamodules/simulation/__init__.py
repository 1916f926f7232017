"""A world with known interests: its words, its items, and what its users do."""
