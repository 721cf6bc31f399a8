"""What every engine promises: one set of tests, run on each engine."""
