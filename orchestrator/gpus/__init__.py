"""The machine's GPUs: which there are, and which node gets which. Knows nothing of nodes' specs."""
