/* npy.h - numpy's C API, and a table of the dtypes of plain numbers, which need no Python code.
 */
#ifndef FCACHED_PY_NPY_H
#define FCACHED_PY_NPY_H

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL fcached_npy_api
#ifndef NPY_HOME
#define NO_IMPORT_ARRAY
#endif
#include <Python.h>
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>
#include <stdbool.h>
#include <stdint.h>

/* A number or bool in this machine's byte order. */
struct plain {
  PyArray_Descr *descr; /* numpy's singleton, which most arrays of the type use */
  uint8_t size;         /* of text */
  uint8_t itemsize;
  char text[6]; /* "<i8" */
};

/* True for dtypes whose scalars have types of numpy: not StringDType, and not dtypes of other
 * packages. */
static inline bool npy_is_classic(const PyArray_Descr *descr) {
  return descr->type_num < NPY_USERDEF;
}

/* Imports numpy at the first call. False with an exception if it cannot be used. */
bool npy_load(void);
extern bool npy_loaded;

/* Return the entry of the table, or NULL. */
const struct plain *npy_plain_by_descr(const PyArray_Descr *descr);
const struct plain *npy_plain_by_type(const PyTypeObject *scalar_type);
const struct plain *npy_plain_by_text(const void *text, size_t size);

#endif
