#include "tests/bench/server.h"

#include "tests/bench/peer_memcached.h"
#include "tests/bench/peer_redis.h"

void server_init(struct bench_peer *peer, enum bench_peer_id id,
                 const struct peer_fcached_options *ours) {
  if (id == PEER_MEMCACHED)
    peer_memcached_init(peer);
  else if (id == PEER_REDIS)
    peer_redis_init(peer);
  else
    peer_fcached_init(peer, ours);
}
