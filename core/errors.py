"""Every error a person can mend, one class per remedy.

CoreError                    something the reader of the message can mend (exit status 2)
├── FileError                a file is missing, unreadable, empty or of a kind we do not read → give another file
├── MappingError             columns cannot be matched to the canonical ones → correct the mapping
├── EmptyLogError            nothing usable is left after cleaning → look at the quarantine, change rules or mapping
├── NotFoundError            a dataset, version, run, user or item of that name does not exist → pick another name
├── CutoffError              a cutoff or horizon does not fit the log → choose another date
├── GateError                too little data for an honest model → the message names both numbers and what would pass
├── ModelError               a pretrained model is not at hand or damaged → name another, or install it
├── RuleError                an audience rule or business rule is malformed → correct the rule
├── TakenError               a name is another's already → choose another
├── BusyError                another heavy job holds the home → wait, or cancel it
├── StorageError             disk full, no permission, damaged file → free space, restore
└── CancelledError           a person cancelled the job → start it again when wanted

A message says what is wrong, the value, and the way out, as a literal template and its values: `FileError("{path} is
empty; give another file.", path=path)`. Anything else that is raised is our own bug (exit status 1).
"""

from core.messages import Message, say


class CoreError(Exception):
    """Base of all errors that a person can mend; the message is shown in the reader's language, or as it stands."""

    def __init__(self, template: str, /, **values: object) -> None:
        self.message = template if isinstance(template, Message) and not values else say(template, **values)
        super().__init__(self.message)


class FileError(CoreError):
    """A file is missing, unreadable, empty or of a kind that is not read."""


class MappingError(CoreError):
    """Columns of a file cannot be matched to the canonical columns."""


class EmptyLogError(CoreError):
    """No event is left after mapping and cleaning."""


class NotFoundError(CoreError):
    """No dataset, version, run, user or item has that name."""


class CutoffError(CoreError):
    """A cutoff, horizon or label window does not fit the log."""


class GateError(CoreError):
    """Too little data for an honest answer; carries both numbers in its message."""


class ModelError(CoreError):
    """A pretrained model is not at hand, or its files are not the pinned ones."""


class RuleError(CoreError):
    """An audience rule or business rule is malformed."""


class TakenError(CoreError):
    """A name is another's already."""


class BusyError(CoreError):
    """Another heavy job holds the home folder."""


class StorageError(CoreError):
    """The disk is full, a file is damaged, or the folder may not be written."""


class CancelledError(CoreError):
    """A person cancelled the work."""
