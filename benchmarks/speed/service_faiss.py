"""The least that one would write: FastAPI over FAISS's flat binary index. What the service is measured beside.

python benchmarks/speed/service_faiss.py CODES.npy PORT
"""

from __future__ import annotations

import sys
from typing import Any

import faiss
import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
codes = np.load(sys.argv[1])
index = faiss.IndexBinaryFlat(8 * codes.shape[1])
index.add(codes)
names = [f"item-{row}" for row in range(len(codes))]
captions = [f"the caption of item {row}" for row in range(len(codes))]
years = [2000 + row % 25 for row in range(len(codes))]


class Asked(BaseModel):
    code: str
    k: int = 10


class Hit(BaseModel):
    id: str
    distance: int
    caption: str
    metadata: dict[str, int]


class Answer(BaseModel):
    hits: list[Hit]


@app.get("/readyz")
def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/v1/search")
def search(asked: Asked) -> dict[str, Any]:
    query = np.frombuffer(bytes.fromhex(asked.code), np.uint8)[None]
    distances, rows = index.search(query, asked.k)
    pairs = zip(rows[0].tolist(), distances[0].tolist(), strict=True)
    return {"hits": [{"id": names[row], "distance": distance} for row, distance in pairs]}


@app.post("/v1/items")
def search_items(asked: Asked) -> Answer:
    """As `search`, and what a page would show of each hit, from lists in memory."""
    query = np.frombuffer(bytes.fromhex(asked.code), np.uint8)[None]
    distances, rows = index.search(query, asked.k)
    pairs = zip(rows[0].tolist(), distances[0].tolist(), strict=True)
    return Answer(
        hits=[
            Hit(id=names[row], distance=distance, caption=captions[row], metadata={"year": years[row]})
            for row, distance in pairs
        ]
    )


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
