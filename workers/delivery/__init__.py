"""Delivers messages: messages.<channel> → address → SMTP, push or webhook → message.feedback. Contract: docs/senders.md.

The package can be copied: it needs `schemas`, `confluent_kafka`, `idna` and `msgspec`, and nothing else from this repository
(a test enforces that). The role `deliver` and examples/sender both run it; there is no second ledger or set of rules.

sender      one channel: the loop over inbox, dispatch and feedback
inbox       Kafka → ledger: messages and cancellations, committed once they are durable
ledger      SQLite: waiting messages, sent messages, feedback not yet published
dispatch    sends a due message, postpones it, or ends it unsent
feedback    ledger → Kafka
ports       the interfaces of channels and address books, and the results of a send
addresses   an address book in SQLite
transports  SMTP, FCM, push gateways, webhooks; the MIME e-mail; one HTTP POST
email_address, unsubscribe, mail_replies   e-mail: addresses, unsubscribe links, the meaning of SMTP replies
retry_after, deadline, token_bucket        the header Retry-After, time limits on sockets, the rate limit
"""
