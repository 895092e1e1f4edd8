/* Values: buffers that a caller reuses from call to call. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/util/value.h"
#include "fcache.h"

/* glibc copies more than about 2 KiB by REP MOVSB if the processor claims that it is fast. On AMD
 * Zen 3 and 4 it is up to 20 times slower if source and destination have similar offsets in their
 * pages (glibc bug 30994), as a value in a receive buffer often has. Small steps avoid it. */
#define STEP_BYTES 2048u
#define STEPPED_MAX_BYTES 65536u /* above, the slow start does not matter */

static void copy(uint8_t *to, const uint8_t *from, size_t size) {
  for (; size > STEP_BYTES && size <= STEPPED_MAX_BYTES; size -= STEP_BYTES) {
    memcpy(to, from, STEP_BYTES);
    to += STEP_BYTES;
    from += STEP_BYTES;
  }
  memcpy(to, from, size);
}

int value_reserve(struct fcache_value *value, size_t size) {
  if (size <= value->capacity)
    return FCACHE_OK;
  if (size > PTRDIFF_MAX)
    return FCACHE_ENOMEM; /* the largest object */
  void *room = realloc(value->data, size);
  if (room == NULL)
    return FCACHE_ENOMEM;
  value->data = room;
  value->capacity = size;
  assert(value->data != NULL);
  return FCACHE_OK;
}

int fcache_value_set(struct fcache_value *value, const void *data, size_t size) {
  if (value_reserve(value, size) < 0)
    return FCACHE_ENOMEM;
  if (size > 0)
    copy(value->data, data, size);
  value->size = size;
  return FCACHE_OK;
}

void fcache_value_free(struct fcache_value *value) {
  free(value->data);
  *value = (struct fcache_value){0};
}
