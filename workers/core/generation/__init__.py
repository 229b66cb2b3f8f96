"""Turns a request into a text: the LLM port, prompts, drafts, templates."""
