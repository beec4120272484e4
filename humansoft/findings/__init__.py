"""What can be found out about a log under a task; :func:`humansoft.check` asks all of it."""
