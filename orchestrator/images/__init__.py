"""Builds images: when their inputs changed, with or without a network.

`recipe` says what an image is made of and whether it is up to date, and is quick to import;
`builder` builds. Nothing is imported here: an apply that builds nothing must not pay for it.
"""
