"""A query → items by words and by meaning, fused, and put into a shopper's own order. Why this way: docs/decisions/0029."""
