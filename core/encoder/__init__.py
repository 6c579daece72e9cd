"""Text of items and histories → vectors: models at hand offline, distinct texts encoded once, users as weighted pools.

`items.encode_items` is the door for catalogues, `pooling.pool_text_profiles` for users, `encode.load_encoder` with
`encode.encode_texts` for anything else that is text. Why these models and batches: docs/decisions/0002.
"""
