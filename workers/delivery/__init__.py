"""messages.<channel> → address → SMTP, push service or webhook → message.feedback. The contract: docs/senders.md.

Made to be copied: it needs `schemas`, `confluent_kafka`, `idna` and `msgspec`, and nothing else of ours (a test
holds that up). The role `deliver` and examples/sender run it; there is no other ledger and no other set of rules.

sender     one channel: the loop over all the others
intake     Kafka → ledger: messages and cancellations, committed once they are durable
ledger     SQLite: what waits, what was sent, feedback not yet published
delivery   what becomes of a message that is due: sent, later, or not at all
smtp, push, fcm, webhook   where it goes; mail, email_address, unsubscribe: what an e-mail is made of; replies: what a mail
           server's answer means; endpoint, retry_after, deadline: one POST, and its end
feedback   ledger → Kafka
"""
