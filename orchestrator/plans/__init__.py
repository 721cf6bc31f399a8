"""The way from what is to what should be: decided here, carried out elsewhere. Pure."""
