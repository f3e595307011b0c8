"""What a service may be told: where it listens, who may write, and how much one request may ask for."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from crossbit.encoders import Encoder
from crossbit.errors import SettingsError

_NO_EVALUATION = "The scores are no evaluation ({}); give what  crossbit evaluate --json  prints."
LogForm = Literal["plain", "json", "none"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that one request may ask for; each has its own answer in the 4xx range. All are 1 or more."""

    body_bytes: int = 20_000_000  # a request's body; 413 beyond
    bulk_bytes: int = 2_000_000_000  # the body of a streamed bulk request as a whole; 413 beyond
    line_bytes: int = 20_000_000  # one line of a streamed request; the line gets a problem
    picture_pixels: int = 40_000_000  # width times height of a picture; 422 beyond
    text_characters: int = 2_000  # words to search for, or the text of an item; 422 beyond
    k: int = 5_000  # hits of one search; 422 beyond
    batch: int = 1_000  # items in one JSON body; 422 beyond
    seconds: float = 30.0  # time for one request (for a streamed one: for each line); 503 beyond
    concurrent: int = 64  # requests at work or waiting for a processor; 503 with Retry-After beyond
    workers: int = 2  # requests that encode or search at the same moment

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (whole or (one.name == "seconds" and isinstance(value, float))) or not 0 < value < float("inf"):
                raise SettingsError(f"The limit {one.name} must be a number above 0; got {value!r}.")


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """How a service runs. Without a write token nothing can be changed through it.

    host, port: where it listens; anything but loopback needs read tokens or write tokens. write_tokens: who may add
    and remove. read_tokens: who may search; nobody needs one where there are none (write tokens read as well).
    names: further host names that it is asked by, such as a proxy's; without read tokens on a loopback address it
    answers to those of this machine alone. scores: evaluations of the hasher, as `crossbit evaluate --json` prints
    them. log: the access log on stderr: "plain" lines, "json" lines, or "none". encoders: of queries by modality, where
    the hasher's fingerprints do not tell how to load them.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    write_tokens: tuple[str, ...] = field(default=(), repr=False)
    read_tokens: tuple[str, ...] = field(default=(), repr=False)
    names: tuple[str, ...] = ()
    scores: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    limits: Limits = field(default_factory=Limits)
    log: LogForm = "plain"
    encoders: Mapping[str, Encoder] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.port, bool) or not 0 <= self.port <= 65535:
            raise SettingsError(f"A port is 0 (any free one) to 65535; got {self.port!r}.")
        if self.log not in get_args(LogForm):
            raise SettingsError(f"The log is one of {', '.join(get_args(LogForm))}; got {self.log!r}.")
        for token in (*self.write_tokens, *self.read_tokens):
            if len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token:
                raise SettingsError(
                    "A token needs 16 or more printable ASCII characters without spaces; make one with  "
                    "python -c 'import secrets; print(secrets.token_urlsafe())'."
                )
        if not is_loopback(self.host) and not (self.write_tokens or self.read_tokens):
            raise SettingsError(
                f"Listening on {self.host} would open the collection to the network without a token. Give a token "
                "(--write-token-file or --read-token-file), or listen on 127.0.0.1."
            )

    def answers_to(self, host: str) -> bool:
        """Whether the service goes by the name in a request's Host header."""
        if self.read_tokens or not is_loopback(self.host):
            return True  # whoever comes by a strange name has no token
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return is_loopback(name.lower()) or name.lower() in self.names

    def scores_of(self, fingerprint: str) -> list[dict[str, Any]]:
        """The scores that are of this hasher, each with its protocol and the data it was measured on.

        Raises SettingsError for what is no evaluation.
        """
        found = []
        for evaluation in self.scores:
            if not isinstance(evaluation.get("scores"), list) or "hasher" not in evaluation:
                raise SettingsError(_NO_EVALUATION.format("it has no hasher and scores"))
            if evaluation["hasher"] == fingerprint:
                found += [_score(evaluation, score) for score in evaluation["scores"]]
        return found


def _score(evaluation: Mapping[str, Any], score: Mapping[str, Any]) -> dict[str, Any]:
    try:
        figures = {name: round(float(score[name]), 4) for name in ("i2t", "t2i")}
        names = {name: str(score[name]) for name in ("protocol", "protocol_id")}
        return {**names, "data": str(evaluation["data"]), **figures, "mean": round(sum(figures.values()) / 2, 4)}
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(_NO_EVALUATION.format(repr(error))) from error


def is_loopback(host: str) -> bool:
    """Whether a host name or address reaches this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
