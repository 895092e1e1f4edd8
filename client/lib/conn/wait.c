#include "client/lib/conn/wait.h"

#include "proto/errors.h"

void wait_begin(struct wait *wait, struct link *link, struct wait_asker *asker, uint64_t bound_ns) {
  uint64_t now_ns = channel_clock_ns(), deadline_ns = link->channel.deadline_ns;
  *wait = (struct wait){.link = link,
                        .asker = asker,
                        .ask_ns = now_ns + deadline_ns,
                        .heard_ns = now_ns,
                        .end_ns = now_ns + bound_ns + deadline_ns};
}

/* Asks the program whether to go on. Where it is not, the daemon has a deadline to answer what
 * waits: no reply may be left for the next call. 0, or the connection is of no use. */
static int ask(struct wait *wait) {
  struct link *link = wait->link;
  int verdict = wait->asker->ask(wait->asker->arg);
  uint64_t now_ns = channel_clock_ns();
  wait->ask_ns = now_ns + link->channel.deadline_ns;
  wait->ended = verdict != 0;
  if (wait->ended) {
    wait->asker->verdict = verdict;
    wait->end_ns = wait->ask_ns;
  }
  if (link_leave_parent(link)) /* it forked */
    return FC_EUNAVAILABLE;
  return !wait->ended || link_let_go(link) ? 0 : FC_ETIMEDOUT;
}

/* Until the daemon says something. FC_ETIMEDOUT where it does not any more. */
static int await_word(struct wait *wait) {
  uint64_t deadline_ns = wait->link->channel.deadline_ns, patience_ns = deadline_ns / 4;
  for (;;) {
    uint64_t silent_ns = !wait->pinged ? patience_ns : deadline_ns - patience_ns;
    uint64_t until_ns = wait->heard_ns + silent_ns;
    bool is_end = until_ns >= wait->end_ns, asks = wait->asker->ask != NULL && !wait->ended;
    until_ns = is_end ? wait->end_ns : until_ns;
    bool is_pause = asks && wait->ask_ns < until_ns;
    int rc = channel_await(&wait->link->channel, is_pause ? wait->ask_ns : until_ns);
    if (rc == CHANNEL_INTERRUPTED || (rc == FC_ETIMEDOUT && is_pause)) {
      rc = asks ? ask(wait) : 0;
      if (rc < 0)
        return rc;
      continue; /* and looks again */
    }
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
    if (link->state != LINK_UP) /* a forked child's */
      return FC_EUNAVAILABLE;
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
