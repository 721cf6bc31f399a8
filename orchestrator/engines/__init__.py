"""Where nodes run. `base` is the one interface; the engines do not know each other."""
