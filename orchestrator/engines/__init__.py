"""Where nodes run. `base` is the one interface; the other modules do not import each other."""
