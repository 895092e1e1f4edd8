#include "daemon/fleet/fleet_clears.h"

uint64_t fleet_clears_version_of(const struct fleet_clears *clears, struct fc_str name_space,
                                 const struct fc_key *key) {
  (void)name_space;
  (void)key;
  return clears->newest;
}

uint64_t fleet_clears_newest(const struct fleet_clears *clears) {
  return clears->newest;
}

void fleet_clears_version_op(const struct fleet_clears *clears, struct fleet_op *op) {
  (void)clears;
  *op = (struct fleet_op){
      .kind = FLEET_OP_VERSION, .class = FLEET_READS, .key = fc_str_of("fcached:1:{fleet}:clears")};
}

bool fleet_clears_heard(struct fleet_clears *clears, const struct fleet_reply *reply,
                        uint64_t now_ns) {
  (void)clears;
  (void)reply;
  (void)now_ns;
  return true;
}
