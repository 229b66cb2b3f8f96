"""A reference sender: messages.<channel> → address → SMTP or push gateway → message.feedback. The contract: docs/senders.md.

intake     Kafka → ledger: messages and cancellations, committed once they are durable
ledger     SQLite: what waits, what was sent, feedback not yet published
delivery   what becomes of a message that is due: sent, later, or not at all
smtp, push the two channels; mail and unsubscribe: what an e-mail is made of
feedback   ledger → Kafka
"""
