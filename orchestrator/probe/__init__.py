"""The probe: what runs inside a node next to the user's script. Engines place it there.

`site/` is put first on a node's PYTHONPATH. It runs in the user's own interpreter: standard
library only, Python 3.8 or newer, and it imports nothing of the rest, nor does the rest
import it. docs/probe.md says what it sees and what it never does.
"""
