"""The Gemini backend."""
