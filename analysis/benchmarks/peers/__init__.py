"""One module a peer; each runs in an environment of its own and needs nothing of humansoft."""
