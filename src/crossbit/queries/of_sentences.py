"""Text models by the package sentence-transformers, as modules that a graph is made from."""

from __future__ import annotations

from typing import Any

from crossbit.encoders.hub import HubTexts
from crossbit.encoders.hub_sentences import load_model
from crossbit.queries.text_preparation import TextPreparation
from crossbit.queries.traceable import NoGraphError, Traceable, tokenizer_json


def texts(encoder: HubTexts) -> Traceable:
    """Tokens and their mask to the features of sentences, through all modules of the model.

    Raises NoGraphError for a model that does not begin with a transformer that reads plain text.
    """
    torch, model = load_model(encoder.folder)
    prompts = model.prompts or {}
    prefix = prompts.get(model.default_prompt_name or "") or ""
    _check(model, encoder.name, prefix)
    given = model.preprocess([prefix + "a red apple", prefix + "a"])  # so the tokenizer cuts and fills from here on
    inputs = {"tokens": given["input_ids"], "mask": given["attention_mask"]}
    axes = {0: "n", 1: "length"}
    return Traceable(
        encoder,
        _whole(torch, model),
        inputs,
        {name: dict(axes) for name in inputs},
        texts=TextPreparation(int(model.max_seq_length), prefix=prefix),
        tokenizer=tokenizer_json(model.tokenizer, encoder.name),
    )


def _check(model: Any, what: str, prefix: str) -> None:
    first = model[0]
    kind = type(first).__name__
    reads = getattr(first, "modality_config", {})
    if kind != "Transformer" or "message" in reads or getattr(first, "transformer_task", "") != "feature-extraction":
        raise NoGraphError(f"{what} begins with {kind} over {', '.join(reads) or 'words'}, of which no graph is made.")
    if prefix and not all(getattr(part, "include_prompt", True) for part in model):
        raise NoGraphError(f"{what} leaves the words {prefix!r} before each text out again, which no graph does.")


def _whole(torch: Any, model: Any) -> Any:
    """All modules of a model as one, from tokens and mask to features."""

    class Sentences(torch.nn.Module):  # type: ignore[misc]  # torch is imported with the model
        def __init__(self) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList(model.children())

        def forward(self, tokens: Any, mask: Any) -> Any:
            features: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask, "modality": "text"}
            for part in self.parts:
                features = part(features)
            rows = features["sentence_embedding"]
            return rows if model.truncate_dim is None else rows[:, : model.truncate_dim]

    return Sentences().eval()
