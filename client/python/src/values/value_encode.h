/* value_encode.h - the walk over a value that is being encoded: where it stands, and what it writes
 * to.
 */
#ifndef FCACHED_PY_ENCODE_H
#define FCACHED_PY_ENCODE_H

#include <Python.h>
#include <fcache.h>
#include <stdbool.h>

#include "value_format.h"

/* How to come from a container to what is being encoded in it. */
enum step_kind {
  STEP_INDEX, /* value[index] */
  STEP_KEY,   /* value[key] */
  STEP_KEYS,  /* the key at that index */
  STEP_FIELD, /* value.key */
  STEP_FLAT,  /* an array's element, in the order of its memory */
  STEP_MADE,  /* what the encode function of its class returned */
};

struct step {
  enum step_kind kind;
  Py_ssize_t index;
  PyObject *key; /* borrowed from whoever is walking over it */
};

struct encoder {
  struct fcache_value *out;
  unsigned depth;
  struct step steps[MAX_DEPTH]; /* as many as `depth` */
};

/* Appends one value. False with an exception: EncodeError, MemoryError, or what is no Exception. */
bool encode_value(struct encoder *encoder, PyObject *value);

/* A container begins, or ends. Between them the caller keeps its step, the current one, up to date.
 */
bool encode_enter(struct encoder *encoder);
static inline struct step *encode_step(struct encoder *encoder) {
  return &encoder->steps[encoder->depth - 1];
}
static inline void encode_leave(struct encoder *encoder) {
  encoder->depth--;
}

/* Raises EncodeError: "value['a'][3]: " and a text as for PyErr_FromFormat; the cause is the
 * exception that is set, if any. Always false. */
bool encode_refuse(const struct encoder *encoder, const char *format, ...);

#endif
