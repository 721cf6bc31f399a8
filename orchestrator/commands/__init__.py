"""The verbs of the command line: call, print, give the exit code."""
