"""Published and reference numbers beside ours."""
