#define NPY_HOME
#include "npy.h"

#include <stdio.h>

#include "msgpack_reader.h"

/* The most frequent types come first. numpy has two types of 8 bytes, for C's long and long long,
 * which are different types in Python. `q` is the latter. */
static const struct {
  int number;
  char kind;
} types[] = {
    {NPY_INT64, 'i'},     {NPY_FLOAT32, 'f'},    {NPY_FLOAT64, 'f'},  {NPY_INT32, 'i'},
    {NPY_BOOL, 'b'},      {NPY_FLOAT16, 'f'},    {NPY_UINT8, 'u'},    {NPY_INT8, 'i'},
    {NPY_INT16, 'i'},     {NPY_UINT16, 'u'},     {NPY_UINT32, 'u'},   {NPY_UINT64, 'u'},
    {NPY_COMPLEX64, 'c'}, {NPY_COMPLEX128, 'c'}, {NPY_LONGLONG, 'q'}, {NPY_ULONGLONG, 'Q'},
};
enum { N_PLAIN = sizeof types / sizeof types[0] };

static struct plain plain[N_PLAIN];
bool npy_loaded;

static bool fill(struct plain *entry, int number, char kind) {
  PyArray_Descr *descr = PyArray_DescrFromType(number);
  PyObject *itemsize = descr ? PyObject_GetAttrString((PyObject *)descr, "itemsize") : NULL;
  long size = itemsize ? PyLong_AsLong(itemsize) : -1;
  char order = size == 1 ? '|' : NPY_NATBYTE;
  int length;

  Py_XDECREF(itemsize);
  if (size < 0)
    return false;
  length = snprintf(entry->text, sizeof entry->text, "%c%c%ld", order, kind, size);
  entry->size = (uint8_t)length;
  entry->itemsize = (uint8_t)size;
  entry->descr = descr; /* never freed */
  return true;
}

bool npy_load(void) {
  if (npy_loaded)
    return true;
  if (_import_array() < 0)
    return false;
  for (size_t i = 0; i < N_PLAIN; i++) {
    if (!plain[i].descr && !fill(&plain[i], types[i].number, types[i].kind))
      return false;
  }
  npy_loaded = true;
  return true;
}

const struct plain *npy_plain_by_descr(const PyArray_Descr *descr) {
  for (size_t i = 0; i < N_PLAIN; i++) {
    if (plain[i].descr == descr)
      return &plain[i];
  }
  return NULL;
}

const struct plain *npy_plain_by_type(const PyTypeObject *scalar_type) {
  for (size_t i = 0; i < N_PLAIN; i++) {
    if (plain[i].descr->typeobj == scalar_type)
      return &plain[i];
  }
  return NULL;
}

const struct plain *npy_plain_by_text(const void *text, size_t size) {
  for (size_t i = 0; i < N_PLAIN; i++) {
    if (plain[i].size == size && same_text(plain[i].text, text, size))
      return &plain[i];
  }
  return NULL;
}
