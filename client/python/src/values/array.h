/* array.h - encodes and decodes numpy arrays and scalars. The first array that a process encodes or
 * decodes imports numpy. All functions need the GIL and may run Python code. */
#ifndef FCACHED_PY_ARRAY_H
#define FCACHED_PY_ARRAY_H

#include "encode_path.h"
#include "msgpack_reader.h"

enum array_kind {
  ARRAY_KIND_NONE,
  ARRAY_KIND_ARRAY,  /* exactly a numpy.ndarray */
  ARRAY_KIND_SCALAR, /* exactly of one of numpy's scalar types */
  ARRAY_KIND_ERROR,  /* numpy is imported but not usable; an exception is set */
};

enum array_kind array_kind(PyObject *value);

/* Append an ext. Errors as those of encode_value. */
bool array_encode(struct encoder *encoder, PyObject *array);
bool scalar_encode(struct encoder *encoder, PyObject *scalar);

/* Decode the content of an ext. Return a new reference, or NULL with an exception. The array is
 * writable and aligned. It owns its data, or is a view of the value's block (block.h). */
PyObject *array_decode(struct reader *reader);
PyObject *scalar_decode(struct reader *reader);

#endif
