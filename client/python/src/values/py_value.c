#include "py_value.h"

#include "block.h"
#include "registry.h"
#include "value_decode.h"
#include "value_encode.h"

int value_init(void) {
  return block_init() < 0 ? -1 : registry_init();
}

int value_encode(PyObject *value, struct fcache_value *out) {
  struct encoder encoder; /* encode_enter initializes its steps */

  encoder.out = out;
  encoder.depth = 0;
  out->size = 0;
  if (encode_value(&encoder, value))
    return 0;
  out->size = 0;
  return -1;
}

/* Decodes `size` bytes. `owned`: the buffer that has them, or NULL. */
static PyObject *decode_all(const uint8_t *bytes, size_t size, struct fcache_value *owned) {
  struct block_room room = {.owned = owned};
  struct reader reader = {
      .at = bytes, .end = bytes + size, .start = bytes, .limit = bytes + size, .room = &room};
  PyObject *value = decode_value(&reader);

  if (value && reader.at != reader.end) {
    (void)reader_fail(&reader, "more bytes follow it");
    Py_CLEAR(value);
  }
  block_room_end(&room);
  return value;
}

PyObject *value_decode(struct fcache_value *encoded) {
  return decode_all(encoded->data, encoded->size, encoded);
}

static PyObject *encode(PyObject *module, PyObject *value) {
  struct fcache_value out = {0};
  PyObject *bytes = NULL;

  (void)module;
  if (value_encode(value, &out) == 0)
    bytes = PyBytes_FromStringAndSize(out.data, (Py_ssize_t)out.size);
  fcache_value_free(&out);
  return bytes;
}

static PyObject *decode(PyObject *module, PyObject *data) {
  PyObject *value;
  Py_buffer view;

  (void)module;
  if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
    return NULL;
  value = decode_all(view.buf, (size_t)view.len, NULL);
  PyBuffer_Release(&view);
  return value;
}

PyMethodDef value_methods[] = {
    {"encode", encode, METH_O,
     "encode(value, /)\n--\n\nReturns the bytes that the daemon stores for a value. Raises "
     "EncodeError if it has no encoding."},
    {"decode", decode, METH_O,
     "decode(data, /)\n--\n\nReturns the value that encode() made the bytes of. Raises DecodeError "
     "for other bytes."},
    {"_register", registry_register, METH_VARARGS,
     "_register(cls, name, fields, encode, decode, /)\n--\n\nRegisters a class. fcached.register() "
     "checks the arguments before."},
    {NULL, NULL, 0, NULL},
};
