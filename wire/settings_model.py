"""What all models of `queenpost.toml` have in common."""

from pydantic import BaseModel, ConfigDict


class SettingsModel(BaseModel):
    """Strict and frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
