/* client_ring.h - the ring of one connection, with whose hits it holds and how far they
 * are read, and the making of the trace's lines that it owes.
 *
 * Where the trace is behind, a hit can be counted while its line is owed: the record
 * then stays in the ring until the line is made. A ring whose connection has ended
 * with lines owed can be kept as an orphan, which is the records alone.
 *
 * A ring in which something is wrong is read no more, see `fault`. One thread; no
 * loop. In what order hits are read is decided in ring_merge.h; which rings there are,
 * and when they are read, in rings.h. */
#ifndef FC_DAEMON_CLIENT_RING_H
#define FC_DAEMON_CLIENT_RING_H

#include "daemon/rings/hits.h"

struct client_ring {
  struct ring ring;
  struct client_ring *next, *prev; /* for rings.c */
  struct hits_account account;
  struct client_time own_time; /* the account's, once the connection has ended */
  const char *fault;           /* NULL, or what is wrong, as a text that lives for ever */
  bool owes_lines;
  /* for rings.c and rings_idle.c */
  size_t charge_bytes;      /* of the pool */
  bool asleep;              /* it is in that list */
  bool had_news;            /* since idle rings were last looked for */
  uint32_t state;           /* that the client is shown: FC_RING_* bits */
  uint64_t idle_ns;         /* since when it has had no news, CLOCK_MONOTONIC; 0: it has had some */
  uint64_t mark;            /* for rings.c: a place in the ring */
  struct client_ring *also; /* for rings.c: the next that is to be read in the same reading */
  /* for ring_merge.c, among the rings that it reads */
  struct client_ring *sibling, *child;
  uint64_t next_ns; /* when the next hit was served; 0: the next record is none */
  bool next_is_hit;
  /* its own */
  struct ring_reader reader; /* up to here hits are promoted and counted */
  struct ring_reader lines;  /* where lines are owed: up to here they are made */
  char names[2 * FC_NAME_MAX];
};

/* What to do with a hit whose line the trace has no room for. */
enum ring_when_behind {
  RING_LEAVE_IT,  /* in the ring, uncounted: for who can come again */
  RING_OWE_LINE,  /* count it, make the line later */
  RING_MAKE_LINE, /* all the same: the trace may lose it, and counts that */
};

/* What one reading found and did. */
struct ring_reading {
  uint64_t slots;      /* that the client had filled since the last one */
  uint64_t records;    /* hits that were read */
  uint64_t hits;       /* of them, those that were counted */
  uint64_t lines_late; /* records whose lines, owed before, were made now */
  uint64_t unrecorded; /* hits that the client had no room for */
  uint64_t cpu_ns;
};

/* Makes a ring for a client of that account: copied, with the names. NULL where the system gives
 * none. */
struct client_ring *client_ring_new(uint32_t n_slots, const struct hits_account *account);
void client_ring_free(struct client_ring *client);

/* Into a list, as its first; out of the list that it is in. */
void client_ring_list(struct client_ring **list, struct client_ring *client);
void client_ring_unlist(struct client_ring **list, struct client_ring *client);

/* CPU time in ns, to take the difference of; the wall's, which costs less, unless the work is long.
 */
uint64_t client_ring_time_ns(bool long_work);

/* Is there anything to look at or to do, with `room` in the trace? */
static inline bool client_ring_has_news(const struct client_ring *client, bool room) {
  return client->fault == NULL && (client->reader.at != client->ring.head ||
                                   (client->owes_lines && room) || ring_has_news(&client->ring));
}

/* Finds where the head is now, to which it is to be read, and adds to the slots and unrecorded of
 * `reading`. The ring may turn out bad. */
void client_ring_look(struct client_ring *client, struct ring_reading *reading);

/* Makes the lines that are owed, as the trace has room, and adds to lines_late. */
void client_ring_make_lines(struct client_ring *client, const struct client_clock *clock,
                            enum ring_when_behind how, struct ring_reading *reading);

/* The lines of all that is read from here on are to be made later. Idempotent. */
void client_ring_owe(struct client_ring *client);

/* The client gets the slots back that are not needed any more. */
void client_ring_release(struct client_ring *client);

/* Something is wrong with it, a text that lives for ever: it is read no more. */
void client_ring_fail(struct client_ring *client, const char *why);

/* Are lines owed for records before the mark? */
static inline bool client_ring_owes_to_mark(const struct client_ring *client) {
  return client->owes_lines && client->lines.at < client->mark;
}

/* Is all counted that was read, and no line owed? True of a bad ring, too: there is no more to do.
 */
bool client_ring_is_done(const struct client_ring *client);

/* The connection has ended, lines are owed: keeps the records that they are made of, lets go of the
 * client's memory and of all that the account borrows, and tells the client that everything was
 * taken. False: no memory for the copy; it is as it was. */
bool client_ring_orphan(struct client_ring *client);

/* Makes the lines that an orphan owes, or a ring that is to become none for want of memory; `how`
 * is RING_OWE_LINE or RING_MAKE_LINE. Done when owes_lines is false. */
struct ring_reading client_ring_pay(struct client_ring *orphan, enum ring_when_behind how);

#endif
