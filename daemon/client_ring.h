/* client_ring.h - the ring of one connection, with whose hits it holds: reads it, has
 * them promoted and counted, and makes the trace's lines of them, at once or later.
 *
 * Where the trace is behind, a hit can be counted while its line is owed: the record
 * then stays in the ring until the line is made. A ring whose connection has ended
 * with lines owed can be kept as an orphan, which is the records alone.
 *
 * A ring in which something is wrong is read no more, see `fault`. One thread; no
 * loop. Which rings there are, and when they are read, is decided in rings.h. */
#ifndef FC_DAEMON_CLIENT_RING_H
#define FC_DAEMON_CLIENT_RING_H

#include "daemon/hits.h"

struct client_ring {
  struct ring ring;
  struct client_ring *next, *prev; /* for rings.c */
  struct hits_account account;
  const char *fault; /* NULL, or what is wrong, as a text that lives for ever */
  bool owes_lines;
  uint64_t mark; /* for rings.c: a place in the ring */
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

/* Makes a ring for a client of that account: copied, with the names; `wall_ns` and since_ns are set
 * here. NULL where the system gives none. */
struct client_ring *client_ring_new(uint32_t n_slots, const struct hits_account *account);
void client_ring_free(struct client_ring *client);

/* Makes the lines that are owed, as the trace has room, then reads up to the head as it is now. */
struct ring_reading client_ring_read(struct client_ring *client, enum ring_when_behind how);

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

/* Makes an orphan's lines; `how` is RING_OWE_LINE or RING_MAKE_LINE. Done when owes_lines is false.
 */
struct ring_reading client_ring_pay(struct client_ring *orphan, enum ring_when_behind how);

#endif
