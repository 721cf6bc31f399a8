"""Lines that a node may print to look better than it is, to hurt the reader, or by accident."""
