"""Mutation: small changes of the product that some test must notice. `make mutate`; see docs/mutation.md."""
