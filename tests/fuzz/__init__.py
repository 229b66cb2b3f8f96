"""Whatever a stranger can send, in every shape that a machine finds: decoders, parsers and patterns."""
