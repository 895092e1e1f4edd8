/* value_decode.h - decodes one value: docs/values.md. */
#ifndef FCACHED_PY_DECODE_H
#define FCACHED_PY_DECODE_H

#include <Python.h>

#include "msgpack_reader.h"

/* Decodes the next value of any type. A new reference, or NULL with an exception: DecodeError,
 * MemoryError, or one that is not an Exception. Needs the GIL and may run Python code. */
PyObject *decode_value(struct reader *reader);

/* Decodes the content of an ext of type EXT_OBJECT. Errors as decode_value. object_decode.c */
PyObject *object_decode(struct reader *reader);

/* Returns UTF-8 as a new str, or NULL with a DecodeError. `errors` is Python's error handler, NULL
 * for strict. */
PyObject *decode_text(const struct reader *reader, const uint8_t *bytes, uint64_t size,
                      const char *errors);

#endif
