/* py_hits.h - decodes hits, encodes computed values and verifies hits, with their counters and
 * hooks. All functions need the GIL and may run Python code. */
#ifndef FCACHED_PY_HITS_H
#define FCACHED_PY_HITS_H

#include <Python.h>

#include "py_client.h"
#include "py_handle.h"

/* Decodes the value that the last lookup left in the handle's scratch buffer. A new reference, or
 * NULL with an exception. */
PyObject *hits_decode(struct handle *handle);

/* After a DecodeError: clears and counts it, and calls client._on_undecodable. Returns 0, or -1
 * with an exception: the present one if it is another, or one that errors_suppress keeps. */
int hits_undecodable(struct client *client, PyObject *op);

/* Encodes a computed value. Returns 0; 1 if it cannot be encoded, with *error the EncodeError or
 * MemoryError, a new reference; or -1 with an exception that is not an Exception. */
int hits_encode(PyObject *value, struct fcache_value *out, PyObject **error);

/* Counts a value that cannot be encoded, and calls client._on_unencodable. 0, or -1 as
 * errors_suppress. */
int hits_unencodable(struct client *client, PyObject *op, PyObject *error);

/* Compares the stored bytes of a hit with those of the value computed anew, and counts. Calls
 * client._on_differing if they differ. 0, or -1 as errors_suppress. */
int hits_verify(struct client *client, const struct fcache_key *key,
                const struct fcache_value *stored, const struct fcache_value *computed);

/* Counts `n` forward passes, `wall_ns` in total, that no handle counts, also as misses if `misses`.
 */
void hits_count_passes(struct client *client, uint64_t n, bool misses, uint64_t wall_ns);

#endif
