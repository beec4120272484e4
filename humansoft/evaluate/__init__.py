"""Functions on results and on a log against a task: predict, score, compare, simulate."""
