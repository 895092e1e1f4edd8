/* The public codes and flags, compared with the tables of the protocol. */
#include <assert.h>

#include "client/lib/api/handle.h"
#include "fcache.h"
#include "proto/errors.h"

#define SAME(name) static_assert((int)FCACHE_##name == (int)FC_##name, #name " differs")
SAME(EINVAL);
SAME(ENOMEM);
SAME(ENONAMESPACE);
SAME(ENAME);
SAME(ETOOBIG);
SAME(EMAXENTRIES);
SAME(EBATCH);
SAME(EDENIED);
SAME(EUNAVAILABLE);
SAME(EPROTOCOL);
SAME(EREFUSED);
static_assert((int)FCACHE_UNRECORDED == (int)FC_UNRECORDED &&
                  (int)FCACHE_KEEP_FIRST == (int)FC_KEEP_FIRST &&
                  (int)FCACHE_LEASE == (int)FC_LEASE,
              "the public flags are those of the protocol");

int handle_code(int code) {
  if (code == FC_EVERSION)
    return FCACHE_EPROTOCOL;
  if (code == FC_ESHUTDOWN || code == FC_EBUSY || code == FC_ETIMEDOUT || code == FC_EKILLED)
    return FCACHE_EUNAVAILABLE;
  return code < FCACHE_EREFUSED ? FCACHE_EREFUSED : code;
}

const char *fcache_strerror(int code) {
  switch (code) {
  case FCACHE_OK:
    return "done";
  case FCACHE_MISS:
    return "a miss: the key is not stored, or sharing is off";
  case FCACHE_LEASED:
    return "a miss with its lease: compute the value and put it, or give the lease up";
  case FCACHE_NOT_STORED:
    return "not stored: sharing is off, another value was first, or the key was cleared or "
           "deleted";
  default:
    return fc_error_text(code);
  }
}
