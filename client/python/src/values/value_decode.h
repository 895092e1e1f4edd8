/* value_decode.h - the walk over bytes that are being decoded. */
#ifndef FCACHED_PY_DECODE_H
#define FCACHED_PY_DECODE_H

#include <Python.h>

#include "msgpack_reader.h"

/* Reads one value, whatever it is. A new reference, or NULL with an exception: DecodeError,
 * MemoryError, or what is no Exception. */
PyObject *decode_value(struct reader *reader);

#endif
