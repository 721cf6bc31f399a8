"""YAML text -> Playbook: the language, its loader, its schema."""
