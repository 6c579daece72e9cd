"""Tables of a version's file, as ingest fills them."""

EVENTS_FILE = "events.duckdb"

TABLES_SQL = """
CREATE TYPE event_type AS ENUM ('impression', 'view', 'click', 'search', 'favourite', 'share', 'cart',
    'remove_from_cart', 'purchase', 'refund', 'other');
CREATE TABLE events (
    user_id VARCHAR NOT NULL, item_id VARCHAR, event_type event_type NOT NULL, event_time TIMESTAMP NOT NULL,
    session_id VARCHAR, dwell_seconds DECIMAL(12, 3), position VARCHAR, quantity DECIMAL(18, 4),
    price DECIMAL(18, 4), revenue DECIMAL(18, 4), query VARCHAR, order_id VARCHAR,
    source_file INTEGER NOT NULL, source_row BIGINT NOT NULL);
CREATE TABLE items (
    item_id VARCHAR NOT NULL, in_catalogue BOOLEAN NOT NULL, first_seen TIMESTAMP,
    title VARCHAR, title_since TIMESTAMP, category VARCHAR, category_since TIMESTAMP,
    brand VARCHAR, brand_since TIMESTAMP, price DECIMAL(18, 4), price_since TIMESTAMP,
    description VARCHAR, description_since TIMESTAMP, image VARCHAR, image_since TIMESTAMP);
CREATE TABLE quarantine (source_file VARCHAR, source_row BIGINT, source_line BIGINT, rule VARCHAR, reason VARCHAR, text VARCHAR);
CREATE TABLE merged (source_file VARCHAR, source_row BIGINT, rule VARCHAR, reason VARCHAR);
"""
"""`source_row` counts data rows from 1; `source_line` is the physical line of a text file that the row begins on, from 1.
`merged` names the rows that only repeat another, which holds their text.

Tables that ingest fills; it adds `users` (user_id and attribute columns), `sessions` and rollups.

`<attribute>_since` is the time of the event that an attribute was derived from, NULL when the person's own catalogue
says it: so the catalogue can be read as of any cutoff."""
