"""One file a provider protocol: SMTP, FCM, web push, webhooks."""
