"""The exceptions of fcached, all derived from :class:`Error`. Only :class:`UnavailableError` means
that no daemon answered. The calls that raise it have no other result than the daemon's."""

from __future__ import annotations


class Error(Exception):
    """Base class. ``code`` is the error code of the C library (``enum fcache_error_code``), or 0
    for an error of the Python package."""

    code: int = 0


class ArgumentError(Error, ValueError):
    """An argument is invalid, such as a name that is empty, too long, not UTF-8 or has a control
    character, or a limit that is not positive."""


class NamespaceError(Error, ValueError):
    """No namespace was given, neither as an argument nor by ``$FCACHE_NAMESPACE``."""


class TooBigError(Error, ValueError):
    """The value exceeds the daemon's largest value (``--max-value``)."""


class BatchError(Error, RuntimeError):
    """``compute_misses`` returned a wrong number of values."""


class DeniedError(Error):
    """This user lacks the permission."""


class UnavailableError(Error, ConnectionError):
    """No daemon answered."""


class ProtocolError(Error):
    """The peer broke the protocol, or speaks another version."""


class RefusedError(Error):
    """The daemon refused the request for the reason in the text."""


class EncodeError(Error, TypeError):
    """The value or a part of it has no encoding. The text says how to register its class."""


class DecodeError(Error, ValueError):
    """The stored bytes are not a value, or name a class that is not registered in this process."""
