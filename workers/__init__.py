"""The product code of Attune: the roles, the pure core, the adapters to external systems, and the commands."""
