"""Maps foreign records to canonical events: `mapping.Intake` is the entry point; one module per format, no IO."""
