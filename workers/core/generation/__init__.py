"""From a request to a text: the LLM port, prompts, drafts, templates."""
