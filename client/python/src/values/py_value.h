/* py_value.h - encodes Python values as bytes and decodes them: docs/values.md. All functions need
 * the GIL and may run Python code. The first array imports numpy. */
#ifndef FCACHED_PY_VALUE_H
#define FCACHED_PY_VALUE_H

#include <Python.h>
#include <fcache.h>

/* Called once, when the module is imported. 0, or -1 with an exception. */
int value_init(void);

/* Replaces the content of `out` with the encoding of `value`. 0, or -1 with an exception:
 * EncodeError if the value or a part of it has no encoding, or nests too deep. */
int value_encode(PyObject *value, struct fcache_value *out);

/* Returns a new object. Its arrays may take over the buffer of `encoded`, which is then empty.
 * Otherwise the content of `encoded` is undefined afterwards. NULL with an exception: DecodeError
 * if the bytes are no valid encoding, or name a class that is not registered in this process. The
 * bytes may be hostile. */
PyObject *value_decode(struct fcache_value *encoded);

/* Methods of the module: encode(value) -> bytes, decode(bytes) -> value, _register(cls, name,
 * fields | None, encode | None, decode | None). */
extern PyMethodDef value_methods[];

#endif
