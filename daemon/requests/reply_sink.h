/* reply_sink.h - the interface through which requests/ sends replies. daemon/net/sender implements
 * it over a socket; tests implement it in memory. The handlers know no socket.
 *
 * One thread. */
#ifndef FC_DAEMON_REPLY_SINK_H
#define FC_DAEMON_REPLY_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct entry;

#define REPLY_SINK_PIECE_BYTES 48u /* memory that the sink needs for each piece it keeps */

struct reply_sink {
  /* The peer takes no more replies: can_send returns true for any size, and send drops the reply.
   * Requests that only read need not be executed. */
  bool peer_gone;
  /* Returns true if a reply may be sent now. `bytes` is the memory that the reply takes while the
   * peer does not read it: copied bytes and the list of pieces, without values in entries. After
   * false, the sink's owner later dispatches the frame again or calls dispatch_send_deferred. */
  bool (*can_send)(struct reply_sink *sink, size_t bytes);
  /* Sends a reply. Bytes that the kernel does not take at once are copied, except a piece that lies
   * in owners[i]: that entry is held, once, until the reply is sent. `owners` may be NULL. A
   * failure ends the connection. */
  void (*send)(struct reply_sink *sink, const struct iovec *pieces, struct entry *const *owners,
               size_t n);
  /* Sends a small reply with descriptors attached to its first byte. Returns false, with nothing
   * sent, if the peer has not read all earlier replies or the kernel refuses the descriptors. So
   * the descriptors that are sent and not received are those of one reply for each connection. */
  bool (*send_with)(struct reply_sink *sink, const struct iovec *piece, const int *fds,
                    size_t n_fds);
  /* Schedules another turn for the connection. Called after a deferred reply, and when a session
   * field changed that the connection must check. */
  void (*resume)(struct reply_sink *sink);

  /* For reclaim.c. */

  /* Returns true if unsent pieces hold entries. With `unlisted_only`, counts only entries that have
   * left the store. */
  bool (*holds_entries)(const struct reply_sink *sink, bool unlisted_only);
  /* Returns how fast the peer reads the current replies, in bytes per second. */
  uint64_t (*pace)(const struct reply_sink *sink, uint64_t now_ns);
  /* Releases all held entries now. The peer gets no more bytes, and the connection ends in its next
   * turn. Calls nothing but the scheduling of that turn. */
  void (*abort)(struct reply_sink *sink);
};

/* Entries whose values a sink sends from the region. A held entry keeps its place there. */
void reply_sink_hold_entry(struct entry *entry);
void reply_sink_release_entry(struct entry *entry);
bool reply_sink_entry_is_held(const struct entry *entry);
/* Returns true if the entry has left the store (evicted, replaced or cleared). */
bool reply_sink_entry_is_unlisted(const struct entry *entry);

#endif
