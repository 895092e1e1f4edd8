#include "client/demo/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "client/demo/session.h"

#define BAR_WIDTH 12u

void progress_init(struct progress *progress, const char *title) {
  *progress = (struct progress){.title = title, .terminal = isatty(STDOUT_FILENO) == 1};
}

void progress_begin(struct progress *progress, uint64_t expected) {
  progress->expected = expected;
}

void progress_count(struct progress *progress, char byte) {
  if (byte == PROGRESS_COMPUTED)
    progress->computed++;
  else if (byte == PROGRESS_CACHED)
    progress->cached++;
}

static void draw(const struct progress *progress, uint64_t elapsed_ns) {
  char bar[BAR_WIDTH + 1];
  uint64_t done = progress->computed + progress->cached;
  uint64_t filled = progress->expected ? done * BAR_WIDTH / progress->expected : 0;
  for (unsigned i = 0; i < BAR_WIDTH; i++)
    bar[i] = i < filled ? '#' : '.';
  bar[BAR_WIDTH] = '\0';
  printf("%-16s [%s] %" PRIu64 "/%" PRIu64 ": %" PRIu64 " computed, %" PRIu64 " cached, %.1f s",
         progress->title, bar, done, progress->expected, progress->computed, progress->cached,
         (double)elapsed_ns / 1e9);
}

#define REDRAW_NS 100000000u

void progress_show(struct progress *progress, uint64_t elapsed_ns) {
  if (!progress->terminal || elapsed_ns < progress->drawn_ns + REDRAW_NS)
    return;
  progress->drawn_ns = elapsed_ns;
  putchar('\r');
  draw(progress, elapsed_ns);
  fputs("\033[K", stdout);
  (void)fflush(stdout); /* a terminal that is gone does not matter to the run */
}

void progress_end(const struct progress *progress, uint64_t elapsed_ns, bool done) {
  if (progress->terminal)
    fputs("\r\033[K", stdout);
  if (done) {
    draw(progress, elapsed_ns);
    putchar('\n');
  }
  (void)fflush(stdout); /* as above */
}
