/* chain.h - raises errors with a cause, and calls functions that are written in Python. All
 * functions need the GIL. */
#ifndef FCACHED_PY_CHAIN_H
#define FCACHED_PY_CHAIN_H

#include <Python.h>
#include <stdarg.h>
#include <stdbool.h>

/* Raises `class` with a text formatted as by PyErr_Format. The exception that is set becomes its
 * __cause__, and its text is appended. A MemoryError, an exception of `class` and one that is not
 * an Exception (KeyboardInterrupt) stay as they are. */
void chain_raise(PyObject *class, const char *format, ...);

/* Calls a function of fcached.values, which has the rare and slow parts of the codec. The arguments
 * are those of Py_BuildValue ("(OO)"). A new reference, or NULL with an exception. */
PyObject *chain_call(const char *function, const char *format, ...);

/* Calls a function of `module` like chain_call. */
PyObject *chain_call_in(const char *module, const char *function, const char *format, va_list list);

#endif
