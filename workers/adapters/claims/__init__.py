"""The trained claim checker: tokenizer and model, run by onnxruntime."""
