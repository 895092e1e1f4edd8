/* errors.h - the one table of error codes, of error replies and of the library. A code is a
 * negative int in C and the same number, positive, on the wire. <fcache.h> repeats the public ones,
 * and client/lib/api/error.c asserts that both agree.
 *
 * X(NAME, code, text): the text names the mistake and a remedy. A reply or fcache_last_error adds
 * the details. */
#ifndef FC_PROTO_ERRORS_H
#define FC_PROTO_ERRORS_H

#define FC_ERROR_MAP(X)                                                                            \
  X(EINVAL, -1, "an argument is not valid: check the call")                                        \
  X(ENOMEM, -2, "out of memory: the request was dropped")                                          \
  X(ENONAMESPACE, -3, "no namespace was given: set the option or $FCACHE_NAMESPACE")               \
  X(ENAME, -4, "a name must be 1 to 255 bytes of UTF-8 without control characters")                \
  X(ETOOBIG, -5, "the value is larger than the daemon takes: raise its --max-value")               \
  X(EMAXENTRIES, -6, "max_entries must be positive")                                               \
  X(EBATCH, -7, "batched compute returned another number of values than misses")                   \
  X(EDENIED, -8, "only the daemon's user, root and its admin group may do that")                   \
  X(EUNAVAILABLE, -9, "no daemon answered: start fcached, or check the socket's path")             \
  X(EPROTOCOL, -10, "the peer broke the protocol, or speaks another version of it")                \
  X(EREFUSED, -11, "the daemon refused the request")                                               \
  X(EFRAME, -12, "the frame is larger than the limit: split the request")                          \
  X(ENOHELLO, -13, "the first message must be hello")                                              \
  X(EVERSION, -14, "no protocol version in common: update the older side")                         \
  X(EBUSY, -15, "the daemon has as many clients as it takes: raise its --max-clients")             \
  X(ETRACE, -16, "the trace file cannot be opened")                                                \
  X(ESHUTDOWN, -17, "the daemon is shutting down")                                                 \
  X(ETIMEDOUT, -18, "the peer took too long over its message")                                     \
  X(EKILLED, -19, "an administrator closed this connection (fcachectl kill)")

enum fc_error {
#define X(name, code, text) FC_##name = (code),
  FC_ERROR_MAP(X)
#undef X
};

/* Return the code's name without its prefix ("ETOOBIG"), and its text. Both are static. A code that
 * is not in the table gives "EUNKNOWN" and "unknown error". */
const char *fc_error_name(int code);
const char *fc_error_text(int code);

#endif
