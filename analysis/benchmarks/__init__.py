"""humansoft beside its peers: the same work, one process each, in turn."""
