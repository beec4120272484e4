"""Recorded decisions: reading, holding and splitting behavior logs. Knows nothing of tasks."""
