"""A program around `workers.delivery`: copy both, put your address book and your servers in. The contract: docs/senders.md."""
