"""A live board at the foot of a terminal: what each node does, and which checks are waited for."""
