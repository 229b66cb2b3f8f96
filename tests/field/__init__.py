"""Inputs that external programs really send: small examples of the kinds reported in public issue trackers.

Each row is one `Case`: where it was reported (`owner/repository#number`, or the specification), an input written by us, the
function that runs it through the pure core, and the expected result. To add a row, add a Case to the module of its topic; a new
topic is a new module with a `CASES` list, listed in `test_field.py`.
"""
