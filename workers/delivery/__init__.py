"""messages.<channel> → address → SMTP, push service or webhook → message.feedback. The contract: docs/senders.md.

Made to be copied: it needs `schemas`, `confluent_kafka`, `idna` and `msgspec`, and nothing else of ours (a test
holds that up). The role `deliver` and examples/sender run it; there is no other ledger and no other set of rules.

sender        one channel: the loop over all the others
inbox         Kafka → ledger: messages and cancellations, committed once they are durable
ledger        SQLite: what waits, what was sent, feedback not yet published
dispatch      decides what becomes of a message that is due: sent, later, or not at all
transports/   SMTP, FCM, web push, webhooks; http: one POST; mime: the parts of an e-mail
mail_replies  what a mail server's reply means; email_address, unsubscribe: parts of an e-mail
retry_after, deadline, token_bucket   when to try again, how long a call may take, how many a second
feedback      ledger → Kafka
"""
