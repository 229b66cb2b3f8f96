"""What strangers really send: small inputs of the kinds that public issue trackers of trackers, shops and servers tell of.

Each row is one `Case`: where somebody met it (`owner/repository#number`, or the specification), an input in our own
words, the way it goes through the pure core, and what must come of it. To add a row, put a Case into the module of its
theme; a theme that has none yet is a new module with a `CASES` list, named in `test_field.py`.
"""
