"""The files of a playbook as structs, and where in a file a value stands."""
