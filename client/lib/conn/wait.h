/* wait.h - waiting for replies that take as long as they take: to gets that wait for what another
 * client computes. A daemon that goes away or stops meanwhile costs one deadline, from when it was
 * last heard: after a quarter of silence it is sent a ping, and has the rest to answer it.
 *
 * Whatever it says counts as heard. What has arrived is looked at before it is judged: who was
 * stopped itself finds its answer. One thread. */
#ifndef FC_CLIENT_WAIT_H
#define FC_CLIENT_WAIT_H

#include "client/lib/conn/request.h"

/* The program's say in a wait: fcache_options.waiting. */
struct wait_asker {
  fcache_waiting_fn *ask; /* NULL: none */
  void *arg;
  int verdict; /* the latest that ended a wait */
};

struct wait {
  struct link *link;
  struct wait_asker *asker;
  uint64_t ask_ns;   /* when it is to be asked next */
  bool ended;        /* by it: all that was waited for or granted has been given up */
  uint64_t heard_ns; /* when the daemon said something last, or the ping was sent */
  uint64_t end_ns;   /* when the replies must have come, however alive the daemon is */
  bool pinged;       /* and nothing was heard since */
};

/* A wait that the daemon was asked to end after `bound_ns`; it gets a deadline more. */
void wait_begin(struct wait *wait, struct link *link, struct wait_asker *asker, uint64_t bound_ns);

/* The next reply to one of the `n` requests `ids`, which were sent: *which is its index. As
 * link_receive otherwise; where the daemon is silent, FC_EUNAVAILABLE with *which = n. Once the
 * wait is `ended` the replies still come, soon, and mean nothing any more: a lease that one grants
 * has been given up. Where the program forked meanwhile, FC_EUNAVAILABLE in the child. */
int wait_next(struct wait *wait, const uint32_t *ids, uint32_t n, uint32_t *which,
              struct fc_reply *reply);

#endif
