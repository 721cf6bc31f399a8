"""A first playbook: from a few answers, or from the commands that did the work so far."""
