"""Mutation testing: small changes of the product that a test must detect. `make mutate`; see docs/mutation.md."""
