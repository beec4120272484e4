"""What people were doing: decision processes without their reward. Knows nothing of logs."""
