"""Fitting: from a model and a log to a frozen result, with what the data do and do not tell."""
