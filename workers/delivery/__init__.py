"""messages.<channel> → address → SMTP, push service or webhook → message.feedback. The contract: docs/senders.md.

Made to be copied: it needs `schemas`, `confluent_kafka` and `msgspec`, and nothing else of ours (a test holds that up). The role
`deliver` and examples/sender run it; there is no other ledger and no other set of rules.

sender     one channel: the loop over all the others
intake     Kafka → ledger: messages and cancellations, committed once they are durable
ledger     SQLite: what waits, what was sent, feedback not yet published
delivery   what becomes of a message that is due: sent, later, or not at all
smtp, push, fcm, webhook   where it goes; mail and unsubscribe: what an e-mail is made of; endpoint: one POST
feedback   ledger → Kafka
"""
