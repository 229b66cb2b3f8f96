"""Foreign records in, canonical events out: `mapping.Intake` is the way in; one module a format, no IO."""
