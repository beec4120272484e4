"""Rewards: modules that turn a task's features into the reward of every state and action."""
