/* py_errors.h - the exceptions of fcached.errors, as C raises them. All need the GIL. */
#ifndef FCACHED_PY_ERRORS_H
#define FCACHED_PY_ERRORS_H

#include <Python.h>

/* Fetches the classes from fcached.errors. Called once, by the module's exec. 0, or -1 with an
 * exception. */
int errors_init(void);

/* Raises the class that belongs to `code` (enum fcache_error_code) with `text`, or the code's own
 * text where that is NULL or ""; sets its attribute `code`. FCACHE_ENOMEM is a MemoryError. Always
 * NULL. */
PyObject *errors_raise(int code, const char *text);

/* The classes, borrowed. */
extern PyObject *errors_argument; /* fcached.ArgumentError, a ValueError */
extern PyObject *errors_encode;   /* fcached.EncodeError, a TypeError */
extern PyObject *errors_decode;   /* fcached.DecodeError, a ValueError */
extern PyObject *errors_batch;    /* fcached.BatchError, a RuntimeError */

#endif
