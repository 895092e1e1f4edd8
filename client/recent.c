#include "client/recent.h"

void recent_note(struct recent *recent, const struct fc_key *key, struct fc_epoch epoch) {
  uint64_t digest = fc_key_digest(0, key);
  size_t slot = digest % RECENT_SLOTS;
  recent->slots[slot].known = true;
  recent->slots[slot].digest = digest;
  recent->slots[slot].epoch = epoch;
}

bool recent_take(struct recent *recent, const struct fc_key *key, struct fc_epoch *epoch) {
  uint64_t digest = fc_key_digest(0, key);
  size_t slot = digest % RECENT_SLOTS;
  if (!recent->slots[slot].known || recent->slots[slot].digest != digest)
    return false;
  recent->slots[slot].known = false;
  *epoch = recent->slots[slot].epoch;
  return true;
}
