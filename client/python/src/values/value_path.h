/* value_path.h - where in a value something stands, for the texts of errors. */
#ifndef FCACHED_PY_PATH_H
#define FCACHED_PY_PATH_H

#include "value_encode.h"

/* "value['a'][3].logprobs"; the middle of a long one is left out. A new reference, or NULL with an
 * exception. */
PyObject *path_text(const struct encoder *encoder);

#endif
