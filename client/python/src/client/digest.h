/* digest.h - XXH3-128 of prompts, encoded values and files, as 32 hex digits. */
#ifndef FCACHED_PY_DIGEST_H
#define FCACHED_PY_DIGEST_H

#include <Python.h>
#include <stdint.h>

#define DIGEST_SIZE 16

/* Methods of the module. prompt_hash(str | bytes): the digest in keys and traces.
 * file_digest(path): the digest of a file, read without the GIL. */
extern PyMethodDef digest_methods[];

/* Returns 16 bytes as a new str of 32 hex digits, or NULL with an exception. */
PyObject *digest_hex(const uint8_t bytes[DIGEST_SIZE]);

/* Returns the digest of `data` as a new str, or NULL with an exception. */
PyObject *digest_bytes(const void *data, size_t size);

#endif
