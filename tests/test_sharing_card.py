"""The card of a shared hasher says what is known and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from crossbit import Hasher
from crossbit.errors import DataError, MismatchError
from crossbit.sharing import CardNotes, model_card
from shared_hashers import evaluation_of, hasher_of


def test_the_card_says_what_is_known(tmp_path: Path) -> None:
    hasher = hasher_of()
    notes = CardNotes("Fruit: codes", "Photos of\nfruit.", "apache-2.0", [evaluation_of(hasher)])
    card = model_card(hasher, notes, "me/fruit", ["hasher.safetensors"])
    _, head, body = card.split("---\n", 2)
    told = yaml.safe_load(head)
    assert (told["library_name"], told["license"]) == ("crossbit", "apache-2.0")
    (result,) = told["model-index"][0]["results"]
    assert [metric["value"] for metric in result["metrics"]] == [0.3883, 0.4206]
    assert "23d55f3632" in result["metrics"][0]["name"]
    for part in (
        "Photos of fruit.",
        "77 pairs",
        "| emoji | mAP@all | `23d55f3632` | 0.388 | 0.421 | 301 / 1564 |",
        "| `power` | `4.0` |",
        "a \\| b",
        "`efficientnet-lite0-9` | EfficientNet-Lite0",
        "Apache-2.0",
        "the list is in the hasher file",
        "Intended use and limits",
        hasher.fingerprint(),
    ):
        assert part in body, part


def test_the_card_of_a_hasher_that_says_little(tmp_path: Path) -> None:
    bare = Hasher(hasher_of().image, hasher_of().text)
    card = model_card(bare, CardNotes(), "me/bare", [])
    assert "license" not in yaml.safe_load(card.split("---\n")[1])
    for part in ("did not say what it was learned from", "None were given", "features from elsewhere", "No licence"):
        assert part in card


def test_the_card_says_where_the_licence_of_a_hub_model_stands() -> None:
    bound = hasher_of().with_encoders(
        image="hub:timm/timm/resnet18.a1_in1k#image-0-0", text="hub:sentence-transformers/tiny#text-0"
    )
    card = model_card(bound, CardNotes(), "me/hub", [])
    assert "| timm/resnet18.a1_in1k, a model that the package timm loads |" in card
    assert "the one that https://huggingface.co/timm/resnet18.a1_in1k names" in card
    assert "tiny, a model that the package sentence-transformers loads | the one that the model's page or files" in card


def test_the_huggingface_library_reads_the_card(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    hasher = hasher_of()
    notes = CardNotes('A "name": [with] signs', scores=[evaluation_of(hasher)])
    card = ModelCard(model_card(hasher, notes, "me/fruit", []))
    assert card.data.model_name == 'A "name": [with] signs'
    assert [result.metric_value for result in card.data.eval_results] == [0.3883, 0.4206]


def test_scores_that_do_not_belong_are_refused() -> None:
    hasher = hasher_of()
    with pytest.raises(MismatchError, match="scores are of the hasher"):
        model_card(hasher, CardNotes(scores=[evaluation_of(hasher_of(1))]), "me/fruit", [])
    for change in ({"scores": [{}]}, {"scores": 7}, {"n_queries": None}):
        with pytest.raises(DataError, match="no evaluation"):
            model_card(hasher, CardNotes(scores=[evaluation_of(hasher) | change]), "me/fruit", [])


def test_the_cards_example_runs(tmp_path: Path) -> None:
    hasher = hasher_of()
    place = hasher.save_pretrained(tmp_path / "codes", repo_id=str(tmp_path / "codes"))
    (code,) = re.findall(r"```python\n(.*?)```", (place / "README.md").read_text(), flags=re.DOTALL)
    assert len(code.strip().splitlines()) == 5
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["codes"] == hasher.encode_texts(np.array([[0.0, 1.0, 0.0]]))  # "a red fruit"
