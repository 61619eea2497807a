"""The base of everything on the wire: frozen, strict, and what each direction does with unknown fields."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Key = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
"""Idempotency key, made by the client; printable ASCII without spaces."""


class WireModel(BaseModel):
    """Immutable, no coercion. Closed sets are `Literal`, sequences are lists, times are integer milliseconds."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


class Request(WireModel):
    """What a client asks. Unknown fields are refused: a newer field is sent only where its feature is listed."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[int, Field(ge=0, le=2**53)] = 0
    """Chosen by the client, unique among its requests in flight."""

    as_: Annotated[str | None, Field(alias="as", max_length=64)] = None
    """The attached agent for which the request is made; only on a connection that attached it."""


class Mutation(Request):
    """A request that changes something and is safe to repeat: the same key gives the first result again."""

    key: Key


class Result(WireModel):
    """What the broker answers or announces. Unknown fields are ignored: peers upgrade one after the other."""

    model_config = ConfigDict(extra="ignore")
