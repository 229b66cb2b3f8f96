"""The files of a playbook as structs, with the line at which each value stands."""
