/* value_decode.h - decodes one value: docs/values.md. */
#ifndef FCACHED_PY_DECODE_H
#define FCACHED_PY_DECODE_H

#include <Python.h>

#include "msgpack_reader.h"

/* Decodes the next value of any type. A new reference, or NULL with an exception: DecodeError,
 * MemoryError, or one that is not an Exception. Needs the GIL and may run Python code. */
PyObject *decode_value(struct reader *reader);

#endif
