"""Words that several sections of a report share."""

from core.ingest.report_words import kind_name
from core.messages import say
from core.schema import EVENT_TYPES

KIND_WORDS = {kind: kind_name(kind) for kind in EVENT_TYPES}
NO_PURCHASES = say("This log has no purchases, so nothing can be told of buyers; a column of the kind of event would bring it.")
NO_ITEMS = say("This log names no items, so nothing can be told of their categories; a column of item ids would bring it.")
NOTHING = say("Nothing is left in the part of the log that is looked at.")
