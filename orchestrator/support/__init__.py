"""The support bundle: what somebody else needs to understand a run, and no secret.

`hiding.py` finds out what must not be seen, `collecting.py` what there is of a run,
`bundle.py` packs it.
"""
