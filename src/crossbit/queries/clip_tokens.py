"""The tokenizer that CLIP came with, as the package tokenizers runs it: byte pairs that end words by a mark.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, processors

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


def clip_tokenizer(
    numbers: Mapping[str, int], merges: Sequence[tuple[str, str]], special: Sequence[str], length: int
) -> str:
    """The tokenizer.json of CLIP's byte pairs.

    numbers: of each token. merges: pairs of tokens in the order in which they are joined. special: the tokens that
    begin and end a text, then others that are never cut. length: tokens of every text, cut or filled with 0.
    """
    start, end = special[:2]
    model = models.BPE(vocab=dict(numbers), merges=list(merges), end_of_word_suffix="</w>", unk_token=end)
    tokenizer = Tokenizer(model)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(token, numbers[token]) for token in (start, end)]
    )
    filling = next(token for token, number in numbers.items() if number == 0)
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length, pad_id=0, pad_token=filling)
    content: str = tokenizer.to_str()
    return content
