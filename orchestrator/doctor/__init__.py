"""What a playbook needs of the machine, and what the machine has of it.

`gathering/` asks the machine, each question with a deadline and each failing alone;
`judging/` makes findings of the answers and is pure; `fixing.py` does what is harmless;
`preflight.py` is the part that apply does first.
"""
