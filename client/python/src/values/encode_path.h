/* encode_path.h - the encoder's position in a value, and errors that name it.
 *
 * Each container that is being encoded is one step of the path. All functions need the GIL. */
#ifndef FCACHED_PY_ENCODE_PATH_H
#define FCACHED_PY_ENCODE_PATH_H

#include <Python.h>
#include <fcache.h>
#include <stdbool.h>

#include "value_format.h"

/* The way from a container to the element that is being encoded. */
enum step_kind {
  STEP_INDEX,   /* value[index] */
  STEP_KEY,     /* value[key] */
  STEP_KEYS,    /* the key at that index of a dict */
  STEP_FIELD,   /* value.key */
  STEP_FLAT,    /* an element of an array, in memory order */
  STEP_ENCODED, /* the result of the encode function of the value's class */
};

struct step {
  enum step_kind kind;
  Py_ssize_t index;
  PyObject *key; /* borrowed from the caller that walks the container */
};

struct encoder {
  struct fcache_value *out;
  unsigned depth;               /* open containers */
  struct step steps[MAX_DEPTH]; /* the first `depth` are valid */
};

/* Opens a container. The caller keeps encode_step() up to date until encode_leave(). False with an
 * EncodeError if the value nests more than MAX_DEPTH deep. */
bool encode_enter(struct encoder *encoder);

static inline struct step *encode_step(struct encoder *encoder) {
  return &encoder->steps[encoder->depth - 1];
}
static inline void encode_leave(struct encoder *encoder) {
  encoder->depth--;
}

/* Raises EncodeError with "value['a'][3]: " and a text formatted as by PyErr_FromFormat. An
 * exception that is set becomes its cause. Returns false. */
bool encode_refuse(const struct encoder *encoder, const char *format, ...);

#endif
