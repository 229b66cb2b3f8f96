"""The files of a playbook as structs, with the line of each value."""
