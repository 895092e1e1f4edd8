/* py_errors.h - the exceptions of fcached.errors, as C raises them. All need the GIL. */
#ifndef FCACHED_PY_ERRORS_H
#define FCACHED_PY_ERRORS_H

#include <Python.h>

/* Fetches the classes from fcached.errors. Called once, when the module is imported. 0, or -1 with
 * an exception. */
int errors_init(void);

/* Raises the class for `code` (enum fcache_error_code) with `text`, or with the code's own text if
 * that is NULL or "". Sets the attribute `code`. FCACHE_ENOMEM raises MemoryError. Returns NULL. */
PyObject *errors_raise(int code, const char *text);

/* Passes the exception that is set, if any, to sys.unraisablehook, and clears it: a warning, log
 * line or counter never costs the caller a result. `source` is the object that it is reported for.
 * 0, or -1 if the exception is not an Exception (KeyboardInterrupt, SystemExit) and stays set. */
int errors_suppress(PyObject *source);

/* Borrowed references. */
extern PyObject *errors_argument; /* fcached.ArgumentError, a ValueError */
extern PyObject *errors_encode;   /* fcached.EncodeError, a TypeError */
extern PyObject *errors_decode;   /* fcached.DecodeError, a ValueError */
extern PyObject *errors_batch;    /* fcached.BatchError, a RuntimeError */

#endif
