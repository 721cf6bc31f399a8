"""Asking a machine: the only part of the doctor that touches it, and it changes nothing."""
