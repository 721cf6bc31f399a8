"""Nothing that people, nodes or an engine write makes anything escape but the typed error."""
