"""The trainer, as real processes over Gloo on loopback."""
