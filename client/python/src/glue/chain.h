/* chain.h - an error of ours that was caused by another, and the way into fcached.values. */
#ifndef FCACHED_PY_CHAIN_H
#define FCACHED_PY_CHAIN_H

#include <Python.h>
#include <stdarg.h>
#include <stdbool.h>

/* Replaces the exception that is set by one of `class` with that text (as PyErr_Format) and the
 * other's own, whose __cause__ it becomes. What says nothing about the value stays as it is:
 * MemoryError, and what is no Exception (KeyboardInterrupt). Where `class` is set already, from
 * further inside, that stays too. */
void chain_raise(PyObject *class, const char *format, ...);

/* Calls a function of fcached.values, where the rare and slow parts are written in Python, with
 * arguments as for Py_BuildValue ("(OO)"). A new reference, or NULL with an exception. */
PyObject *chain_call(const char *function, const char *format, ...);

/* The same for a function of another module. */
PyObject *chain_call_in(const char *module, const char *function, const char *format, va_list list);

#endif
