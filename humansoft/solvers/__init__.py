"""The forward problem, on reward tensors: from reward and temperature to a soft policy."""
