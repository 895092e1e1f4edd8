/* py_value.h - Python values as bytes, and back: the encoding of docs/values.md. All need the GIL,
 * and may run Python code: numpy is imported with the first array, not before. */
#ifndef FCACHED_PY_VALUE_H
#define FCACHED_PY_VALUE_H

#include <Python.h>
#include <fcache.h>

/* Called once, by the module's exec. 0, or -1 with an exception. */
int value_init(void);

/* Replaces the content of `out` with the encoding of `value`. 0, or -1 with an exception:
 * EncodeError where the value, or something in it, has no encoding, or nests too deep. */
int value_encode(PyObject *value, struct fcache_value *out);

/* A new object, which shares nothing with `data`; or NULL with an exception: DecodeError where the
 * bytes are not of this encoding, whatever they hold, or name a class that is not registered here.
 */
PyObject *value_decode(const void *data, size_t size);

/* Methods of the module: encode(value) -> bytes, decode(bytes) -> value, _register(cls, name,
 * fields | None, encode | None, decode | None). */
extern PyMethodDef value_methods[];

#endif
