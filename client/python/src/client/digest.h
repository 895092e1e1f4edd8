/* digest.h - XXH3-128 for Python: of prompts, of encoded values, and of files. */
#ifndef FCACHED_PY_DIGEST_H
#define FCACHED_PY_DIGEST_H

#include <Python.h>
#include <stdint.h>

#define DIGEST_SIZE 16

/* Methods of the module: prompt_hash(str | bytes) -> 32 hex digits, as in keys and traces;
 * file_digest(path) -> 32 hex digits of a file's bytes, read in pieces without the GIL. */
extern PyMethodDef digest_methods[];

/* A new str of 32 hex digits; or NULL with an exception. */
PyObject *digest_hex(const uint8_t bytes[DIGEST_SIZE]);

/* The same of the digest of these bytes. */
PyObject *digest_bytes(const void *data, size_t size);

#endif
