#include "block.h"

#include <stdlib.h>
#include <string.h>

enum {
  SMALL_BYTES = 64 << 10, /* a block of this size at most is kept alive by any of its arrays */
  LARGE_PART = 4,         /* a larger one only by arrays of a quarter of it */
  ALIGNMENT = 16,         /* as that of malloc */
};

struct block {
  PyObject_HEAD struct fcache_value memory;
};

/* The buffer of the latest small block that was freed. The next hit uses it, since malloc and free
 * of some kilobytes take longer than the rest of a block. */
static struct fcache_value spare;

static void dealloc(PyObject *self) {
  struct block *block = (struct block *)self;

  if (!spare.data && block->memory.capacity <= SMALL_BYTES)
    spare = block->memory;
  else
    fcache_value_free(&block->memory);
  Py_TYPE(self)->tp_free(self);
}

/* numpy asks for it when a program makes an array read-only and then writable again. */
static int get_buffer(PyObject *self, Py_buffer *view, int flags) {
  struct block *block = (struct block *)self;

  return PyBuffer_FillInfo(view, self, block->memory.data, (Py_ssize_t)block->memory.size, 0,
                           flags);
}

static PyObject *size_of(PyObject *self, PyObject *ignored) {
  (void)ignored;
  return PyLong_FromSize_t(sizeof(struct block) + ((struct block *)self)->memory.capacity);
}

static PyMethodDef methods[] = {
    {"__sizeof__", size_of, METH_NOARGS, "Returns the bytes of the block."},
    {NULL, NULL, 0, NULL},
};
static PyBufferProcs as_buffer = {.bf_getbuffer = get_buffer};
static PyTypeObject type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "fcached._core._Block",
    .tp_basicsize = sizeof(struct block),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_doc = "The memory of the arrays of one value.",
    .tp_dealloc = dealloc,
    .tp_as_buffer = &as_buffer,
    .tp_methods = methods,
};

int block_init(void) {
  return PyType_Ready(&type);
}

void block_recycle(struct fcache_value *value) {
  *value = spare;
  spare = (struct fcache_value){0};
}

/* ---- decoding ---- */

/* Returns whether an array of `size` bytes may keep `whole` bytes alive. */
static bool may_keep(size_t size, size_t whole) {
  return whole <= SMALL_BYTES || size >= whole / LARGE_PART;
}

/* Returns whether the buffer is hardly larger than its content. */
static bool fits(const struct fcache_value *value) {
  return value->capacity - value->size <= value->size / LARGE_PART;
}

/* Returns memory of `size` bytes: the spare buffer if it is hardly larger, or new memory. Empty
 * without memory. */
static struct fcache_value memory_of(size_t size) {
  struct fcache_value memory = {0};

  if (spare.capacity >= size) {
    block_recycle(&memory);
    memory.size = size;
    if (fits(&memory))
      return memory;
    fcache_value_free(&memory);
  }
  memory.data = malloc(size);
  if (memory.data)
    memory.size = memory.capacity = size;
  return memory;
}

/* Makes the block from the buffer that has the encoded value, or for copies of the arrays in its
 * last `left` bytes. On failure leaves room->block NULL. */
static void begin(struct block_room *room, size_t left) {
  struct fcache_value memory = room->copies ? memory_of(left) : *room->owned;

  room->block = memory.data ? PyObject_New(struct block, &type) : NULL;
  if (!room->block) {
    PyErr_Clear();
    if (room->copies)
      fcache_value_free(&memory);
    return;
  }
  room->block->memory = memory;
  room->free = memory.data;
  room->end = room->free + memory.size;
  if (!room->copies)
    *room->owned = (struct fcache_value){0};
}

/* Returns an address from room->free on for an array, or NULL if there is none. One whose bytes are
 * in the block at `at` moves down, by less than the alignment. */
static uint8_t *find(const struct block_room *room, uint8_t *at, size_t size, size_t alignment) {
  uint8_t *first = room->free + (-(uintptr_t)room->free & (alignment - 1));

  if (at)
    return first <= at ? at - ((uintptr_t)at & (alignment - 1)) : NULL;
  return first <= room->end && size <= (size_t)(room->end - first) ? first : NULL;
}

uint8_t *block_place(struct block_room *room, const uint8_t *bytes, size_t size, size_t left,
                     size_t alignment, PyObject **base) {
  uint8_t *at = NULL;
  uint8_t *to;

  if (!room->block) {
    room->copies = !room->owned || !fits(room->owned);
    if (room->copies ? left > SMALL_BYTES : !may_keep(size, room->owned->size))
      return NULL; /* a copy in a large block would only keep other arrays alive */
    begin(room, left);
    if (!room->block)
      return NULL;
  }
  if (!may_keep(size, room->block->memory.size))
    return NULL;
  if (!room->copies)
    at = room->free + (bytes - room->free);
  to = at && ((uintptr_t)at & (alignment - 1)) == 0 ? at : find(room, at, size, ALIGNMENT);
  if (!to)
    to = find(room, at, size, alignment);
  if (!to)
    return NULL;
  if (to != bytes)
    memmove(to, bytes, size);
  room->free = to + size;
  Py_INCREF((PyObject *)room->block);
  *base = (PyObject *)room->block;
  return to;
}

void block_room_end(struct block_room *room) {
  if (room->block && room->copies && room->owned) /* it is much larger than its values */
    fcache_value_free(room->owned);
  Py_CLEAR(room->block);
}
