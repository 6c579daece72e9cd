"""What the verb `search --like` reads: the items that an item's text and picture are most alike to."""

from datetime import datetime
from typing import Any

from core.encoder.queries import VECTORS_FILE
from core.errors import ModelError, NotFoundError
from core.messages import Message, say
from core.pipeline.offering import barred_now
from core.pipeline.screens import Screen
from core.pipeline.searching import MOST_ROWS, reading
from core.store import fetch

_ITEMS_SQL = "SELECT item_id, title, category, brand, CAST(price AS DOUBLE) AS price FROM catalogue WHERE list_contains($items, item_id)"


def alike(screen: Screen, item_id: str, k: int = 20, cutoff: datetime | None = None) -> dict[str, Any]:
    """Return the `k` items most alike an item by the texts and pictures of the pinned profiles.

    An item with a picture alone finds its like by that. What the rules in force bar for everyone is left out.

    Args:
        screen: What to read.
        item_id: The item.
        k: Longest list, at most MOST_ROWS.
        cutoff: Behave as if the log ended here; profiles of that very cutoff are needed.

    Raises:
        ModelError: The profiles hold neither texts nor pictures.
        NotFoundError: They know no such item.
        CutoffError: No event lies before the cutoff.
    """
    from core.encoder.items import read_item_vectors
    from core.encoder.pictures import PICTURES_FILE, fused, look_alikes, read_picture_vectors

    here = reading(screen, cutoff)
    folder = here.profiles
    texts = read_item_vectors(folder, {}) if folder and (folder / VECTORS_FILE).is_file() else None
    pictures = read_picture_vectors(folder) if folder and (folder / PICTURES_FILE).is_file() else None
    items = fused(texts, pictures)
    if items is None:
        raise ModelError("Items have neither text nor picture vectors yet; compute profiles with the block text or image first.")
    if item_id not in items.item_ids:
        raise NotFoundError("There is no item {item!r} in dataset {dataset!r}.", item=item_id[:60], dataset=screen.name)
    row, notes = items.item_ids.index(item_id), list[Message]()
    by = [name for name, part in (("text", texts), ("image", pictures)) if part is not None and part.index[row] >= 0]
    if not by:
        notes.append(say("The item has neither a text nor a picture that was read, so it is like no other."))
    barred = barred_now(screen)
    if barred:
        notes.append(say("Items that the rules in force bar are left out."))
    near = [(other, cosine) for other, cosine in look_alikes(items, item_id, len(items.item_ids)) if other not in barred]
    near = near[: min(k, MOST_ROWS)]
    with here.log.history() as connection:
        told = {
            str(found["item_id"]): found for found in fetch(connection, _ITEMS_SQL, {"items": [other for other, _ in near]}).to_pylist()
        }
    rows = [{"place": n, "item_id": other, **told.get(other, {}), "similarity": cosine} for n, (other, cosine) in enumerate(near, 1)]
    return {"dataset": screen.name, "item": item_id, "by": by, "results": rows, "warnings": notes}
