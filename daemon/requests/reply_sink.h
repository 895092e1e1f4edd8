/* reply_sink.h - where the dispatcher's replies go, without knowing what a socket is. */
#ifndef FC_DAEMON_SINK_H
#define FC_DAEMON_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct entry;

#define REPLY_SINK_PIECE_BYTES 48u /* what the sink spends on each piece that it has to keep */

struct reply_sink {
  /* Nobody takes replies any more: there is room for any, and they are dropped. Requests that only
   * read need not be carried out. */
  bool peer_gone;
  /* May a reply be sent now that takes `bytes` of memory if the peer does not read it: what is
   * copied, and the list of its pieces, but not what lies in entries? True until the peer lags
   * behind; a false one is a promise that the frame is dispatched again later, or dispatch_send_deferred
   * called. */
  bool (*can_send)(struct reply_sink *sink, size_t bytes);
  /* Sends. What cannot go at once is copied: the pieces may be gone when it
   * returns; but for a piece that lies in owners[i], which is held until it is
   * sent (`owners` NULL: none does). A failure ends the connection by itself. */
  void (*send)(struct reply_sink *sink, const struct iovec *pieces, struct entry *const *owners,
               size_t n);
  /* Sends a small reply, with descriptors beside its first byte. False: nothing was sent, as the
   * peer lags behind or the kernel passes no descriptors on. */
  bool (*send_with)(struct reply_sink *sink, const struct iovec *piece, const int *fds, size_t n_fds);
  /* A reply was sent that no frame at hand asked for: it may have taken the room, or the place in
   * line, of one that waits. Sees that both are tried again soon, and the session's faults looked
   * at. */
  void (*resume)(struct reply_sink *sink);
};

#endif
