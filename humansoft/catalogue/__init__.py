"""Data sets of real people: cards, where their files are, and one small builder for each."""
