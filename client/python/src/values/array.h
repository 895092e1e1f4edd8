/* array.h - numpy's arrays and scalars. numpy is imported when the first is met. */
#ifndef FCACHED_PY_ARRAY_H
#define FCACHED_PY_ARRAY_H

#include "msgpack_reader.h"
#include "value_encode.h"

enum array_kind {
  ARRAY_KIND_NONE,
  ARRAY_KIND_ARRAY,  /* exactly a numpy.ndarray */
  ARRAY_KIND_SCALAR, /* exactly of one of numpy's scalar types */
  ARRAY_KIND_ERROR,  /* an exception is set: numpy is there, but not usable */
};

enum array_kind array_kind(PyObject *value);

/* Append an ext. As encode_value. */
bool array_encode(struct encoder *encoder, PyObject *array);
bool scalar_encode(struct encoder *encoder, PyObject *scalar);

/* What an ext holds. A new reference, or NULL with an exception. The array is writable and owns its
 * data. */
PyObject *array_decode(struct reader *reader);
PyObject *scalar_decode(struct reader *reader);

#endif
