"""Runs that fail for real, what they left behind, and what is said of each."""
