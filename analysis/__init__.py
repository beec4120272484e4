"""Studies that reproduce, demonstrate and measure; each file runs on its own."""
