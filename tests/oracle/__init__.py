"""Answers worked out independently of the package, and the tests that hold the package to them."""
