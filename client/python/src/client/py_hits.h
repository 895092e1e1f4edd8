/* py_hits.h - what becomes of a value that was found, and of one that was computed: decoding,
 * encoding, what cannot be, and verification. All need the GIL, and may run Python code. */
#ifndef FCACHED_PY_HITS_H
#define FCACHED_PY_HITS_H

#include <Python.h>

#include "py_client.h"
#include "py_handle.h"

/* Decodes what the handle's last lookup left in its scratch. NULL with an exception. */
PyObject *hits_decode(struct handle *handle);

/* No warning, log line or count costs the caller a result. Reports the exception that one of them
 * raised, if any, to sys.unraisablehook, as of `source`, and clears it. 0; or -1 where it is no
 * Exception (KeyboardInterrupt, SystemExit): it then stays set. */
int hits_excuse(PyObject *source);

/* After a DecodeError was raised: takes it back, counts it and tells client._on_undecodable. 0; or
 * -1 with an exception, the present one where it is another. */
int hits_undecodable(struct client *client, PyObject *op);

/* Encodes. 0; 1 where the value cannot be encoded, with *error the reason, an EncodeError or a
 * MemoryError, the caller's; or -1 with an exception that is no Exception. */
int hits_encode(PyObject *value, struct fcache_value *out, PyObject **error);

/* Counts a value that cannot be encoded, and tells client._on_unencodable. 0; or -1 as hits_excuse.
 */
int hits_unencodable(struct client *client, PyObject *op, PyObject *error);

/* Compares what is stored with what was computed anew, and counts; tells client._on_differing. 0;
 * or -1 as hits_excuse. */
int hits_verify(struct client *client, const struct fcache_key *key,
                const struct fcache_value *stored, const struct fcache_value *computed);

/* Counts `n` forward passes of `wall_ns` in all that no handle counts; as misses too, or not. */
void hits_count_passes(struct client *client, uint64_t n, bool misses, uint64_t wall_ns);

uint64_t hits_clock_ns(void);

#endif
