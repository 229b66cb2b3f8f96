"""The foreign formats, one module per format."""
