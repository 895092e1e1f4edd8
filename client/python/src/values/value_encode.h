/* value_encode.h - encodes one Python value: docs/values.md. */
#ifndef FCACHED_PY_ENCODE_H
#define FCACHED_PY_ENCODE_H

#include "encode_path.h"

/* Appends the encoding of `value` to encoder->out. False with an exception: EncodeError,
 * MemoryError, or one that is not an Exception (KeyboardInterrupt). Needs the GIL and may run
 * Python code. */
bool encode_value(struct encoder *encoder, PyObject *value);

#endif
