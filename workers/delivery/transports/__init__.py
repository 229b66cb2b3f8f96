"""Implements one provider protocol per file: SMTP, FCM, push gateways, webhooks."""
