#include "storm_kill.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storm_reader.h"
#include "storm_writer.h"
#include "tests/support/shared_region.h"

#define BUCKETS 32u
#define READS_BEFORE 4000u /* up to so many */
#define READS_AFTER 1000u

struct victim {
  pid_t pid;
  struct region_reader map;
  struct storm_key keys[STORM_KEYS];
};

/* In the child: sends a copy of its region's struct, and storms until it is killed. */
static _Noreturn void write_for_ever(struct storm_board *board, int to) {
  struct storm_writer *writer = malloc(sizeof *writer);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test is killed */
  if (writer == NULL || !storm_writer_init(writer, board, BUCKETS) ||
      write(to, &writer->region, sizeof writer->region) != sizeof writer->region)
    _exit(1);
  for (;;)
    storm_writer_step(writer);
}

static bool map_region(struct victim *victim, int from) {
  struct region theirs;
  if (read(from, &theirs, sizeof theirs) != sizeof theirs)
    return false;
  bool mapped = shared_region_map_of(victim->pid, &theirs, &victim->map, STORM_BOOT_ID);
  if (mapped)
    storm_keys_make(victim->keys, STORM_NAMESPACE, victim->map.n_buckets, BUCKETS);
  return mapped;
}

static bool begin(struct victim *victim, struct storm_board *board) {
  int ends[2];
  if (pipe(ends) < 0)
    return false;
  fflush(NULL);
  victim->pid = fork();
  if (victim->pid == 0)
    write_for_ever(board, ends[1]);
  close(ends[1]);
  bool good = victim->pid > 0 && map_region(victim, ends[0]);
  close(ends[0]);
  return good;
}

static void end(const struct victim *victim) {
  if (victim->pid > 0 && kill(victim->pid, SIGKILL) == 0)
    (void)waitpid(victim->pid, NULL, 0); /* a child that was not waited for before */
}

static void read_some(const struct victim *victim, struct storm_board *board, uint64_t n,
                      bool history, struct storm_reads *sum) {
  storm_reader_run(&(struct storm_reader){.map = &victim->map,
                                          .board = board,
                                          .keys = victim->keys,
                                          .name_space = STORM_NAMESPACE,
                                          .n_reads = n,
                                          .history = history});
  storm_reads_add(sum, &board->reads[0]);
}

static bool kill_one(struct storm_board *board, uint64_t random, struct storm_kills *kills) {
  struct victim victim = {0};
  uint64_t busy = kills->after.busy;
  memset(board, 0, sizeof *board); /* the next writer's versions begin again */
  bool good = begin(&victim, board);
  if (good)
    read_some(&victim, board, random % READS_BEFORE, false, &kills->before);
  end(&victim);
  if (!good)
    return false;
  kills->undead += region_reader_is_live(&victim.map);
  read_some(&victim, board, READS_AFTER, true, &kills->after);
  region_reader_unmap(&victim.map);
  kills->halves += kills->after.busy > busy;
  kills->kills++;
  return true;
}

bool storm_kill(uint32_t times, struct storm_kills *kills) {
  uint64_t random = 5;
  *kills = (struct storm_kills){0};
  void *board = mmap(NULL, sizeof(struct storm_board), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (board == MAP_FAILED)
    return false;
  while (kills->kills < times && kill_one(board, storm_random(&random), kills))
    continue;
  munmap(board, sizeof(struct storm_board));
  if (kills->kills < times)
    fprintf(stderr, "writer %u could not be begun\n", kills->kills);
  return kills->kills == times;
}
