"""Names that nobody knows: which known one was meant (`nearest`), and what other tools call things (`elsewhere`)."""
