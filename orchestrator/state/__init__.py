"""What a run should be and what an engine found: frozen values, no behaviour but comparison.

`desired.DesiredState` comes from a playbook, `observed.ObservedState` from an engine; the
planner compares the two. `spec.NodeSpec` is the form that both have in common.
"""
