#include "client/wait.h"

#include "proto/errors.h"

void wait_begin(struct wait *wait, struct link *link, uint64_t bound_ns) {
  uint64_t now_ns = channel_clock_ns();
  *wait = (struct wait){
      .link = link, .heard_ns = now_ns, .end_ns = now_ns + bound_ns + link->channel.deadline_ns};
}

/* Until the daemon says something. FC_ETIMEDOUT where it does not any more. */
static int await_word(struct wait *wait) {
  uint64_t deadline_ns = wait->link->channel.deadline_ns, patience_ns = deadline_ns / 4;
  for (;;) {
    uint64_t silent_ns = !wait->pinged ? patience_ns : deadline_ns - patience_ns;
    uint64_t until_ns = wait->heard_ns + silent_ns;
    bool is_end = until_ns >= wait->end_ns;
    int rc = channel_await(&wait->link->channel, is_end ? wait->end_ns : until_ns);
    if (rc != FC_ETIMEDOUT || is_end || wait->pinged)
      return rc;
    rc = link_ping(wait->link);
    if (rc < 0)
      return rc;
    wait->pinged = true;
    wait->heard_ns = channel_clock_ns(); /* we may have been stopped: the ping has its time */
  }
}

int wait_next(struct wait *wait, const uint32_t *ids, uint32_t n, uint32_t *which,
              struct fc_reply *reply) {
  struct link *link = wait->link;
  for (;;) {
    int rc = await_word(wait);
    *which = n;
    if (rc < 0 && rc != FC_EUNAVAILABLE) /* one that hung up may have said why */
      return link_lost(link, rc);
    rc = link_receive(link, ids, n, which, reply);
    wait->heard_ns = channel_clock_ns();
    wait->pinged = false; /* whatever came, the pong need not come as well */
    if (rc < 0 || *which < n)
      return rc;
    if (wait->heard_ns >= wait->end_ns) /* it talks, but gives no answer */
      return link_lost(link, FC_ETIMEDOUT);
  }
}
