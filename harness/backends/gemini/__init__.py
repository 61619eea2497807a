"""Gemini CLI as the model: one long-lived process that speaks the agent client protocol, resumed by its session id."""
