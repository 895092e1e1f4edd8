#include "daemon/requests/reply_sink.h"

#include "daemon/region/entry.h"

void reply_sink_hold_entry(struct entry *entry) {
  entry_hold(entry);
}

void reply_sink_release_entry(struct entry *entry) {
  entry_release(entry);
}

bool reply_sink_entry_is_held(const struct entry *entry) {
  return entry_is_held(entry);
}

bool reply_sink_entry_is_unlisted(const struct entry *entry) {
  return entry->name_space == 0;
}
