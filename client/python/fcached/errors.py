"""The exceptions of fcached. All are :class:`Error`; none ever means that the daemon is away,
but for :class:`UnavailableError`, from calls that have no other result than the daemon's."""

from __future__ import annotations


class Error(Exception):
    """Root of all. ``code`` is the C library's error code (``enum fcache_error_code``), 0 where
    the error is the Python package's own."""

    code: int = 0


class ArgumentError(Error, ValueError):
    """An argument is not valid: a name that is empty, too long, not UTF-8 or has a control
    character; a limit that is not positive."""


class NamespaceError(Error, ValueError):
    """No namespace was given, neither as an argument nor by ``$FCACHE_NAMESPACE``."""


class TooBigError(Error, ValueError):
    """The value is larger than the daemon takes."""


class BatchError(Error, RuntimeError):
    """``compute_misses`` returned another number of values than it was asked for."""


class DeniedError(Error):
    """The daemon does not let this user do that."""


class UnavailableError(Error, ConnectionError):
    """No daemon answered."""


class ProtocolError(Error):
    """The peer broke the protocol, or speaks another version."""


class RefusedError(Error):
    """The daemon refused the request for another reason: the text has it."""


class EncodeError(Error, TypeError):
    """The value, or something in it, has no encoding. The text says how to register its class."""


class DecodeError(Error, ValueError):
    """What is stored is not a value of this encoding, or names a class not registered here."""
