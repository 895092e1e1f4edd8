#include "tests/bench/survive/survive_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILES_MAX = 4096, INTERVAL_NS = 1000000 /* between samples */ };

/* The memory files that were seen in one sample. */
struct files {
  ino_t inodes[FILES_MAX];
  size_t n;
  uint64_t bytes;
};

static void add_file(struct files *files, const struct stat *status) {
  for (size_t i = 0; i < files->n; i++)
    if (files->inodes[i] == status->st_ino)
      return;
  if (files->n < FILES_MAX)
    files->inodes[files->n++] = status->st_ino;
  files->bytes += (uint64_t)status->st_blocks * 512;
}

/* Adds the files "memfd:" to which the links in a directory of /proc point: descriptors in
 * /proc/PID/fd, and mappings, which may have no descriptor any more, in /proc/PID/map_files. Root
 * alone may follow the latter. */
static void add_links(struct files *files, const char *path) {
  DIR *dir = opendir(path);
  const struct dirent *entry;
  while (dir != NULL && (entry = readdir(dir)) != NULL) {
    char target[64];
    struct stat status;
    ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    if (strstr(target, "memfd:") != NULL && fstatat(dirfd(dir), entry->d_name, &status, 0) == 0)
      add_file(files, &status);
  }
  if (dir != NULL)
    (void)closedir(dir); /* only read */
}

static uint64_t private_bytes(pid_t pid) {
  char path[64], line[256];
  uint64_t kib = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid); /* it fits */
  FILE *file = fopen(path, "re");
  while (file != NULL && kib == 0 && fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "RssAnon: %" SCNu64 " kB", &kib) != 1)
      kib = 0;
  if (file != NULL)
    (void)fclose(file); /* only read */
  return kib * 1024;
}

uint64_t survive_memory_bytes(pid_t pid) {
  static _Thread_local struct files files; /* large */
  char path[64];
  files.n = 0;
  files.bytes = 0;
  add_links(&files, "/proc/self/fd");
  add_links(&files, "/proc/self/map_files");
  if (pid == 0)
    return files.bytes;
  (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid); /* it fits */
  add_links(&files, path);
  (void)snprintf(path, sizeof path, "/proc/%d/map_files", (int)pid);
  add_links(&files, path);
  return files.bytes + private_bytes(pid);
}

static void *sample(void *arg) {
  struct survive_memory *memory = arg;
  const struct timespec interval = {.tv_nsec = INTERVAL_NS};
  while (!atomic_load(&memory->over)) {
    uint64_t bytes = survive_memory_bytes(atomic_load(&memory->pid));
    if (bytes > atomic_load(&memory->most_bytes))
      atomic_store(&memory->most_bytes, bytes);
    (void)nanosleep(&interval, NULL); /* a signal makes the next sample early */
  }
  return NULL;
}

void survive_memory_begin(struct survive_memory *memory, pid_t pid) {
  atomic_store(&memory->pid, pid);
  atomic_store(&memory->over, false);
  atomic_store(&memory->most_bytes, 0);
  if (pthread_create(&memory->thread, NULL, sample, memory) != 0)
    fprintf(stderr, "bench: no thread for samples of memory: the most is unknown\n");
}

uint64_t survive_memory_end(struct survive_memory *memory) {
  atomic_store(&memory->over, true);
  (void)pthread_join(memory->thread, NULL); /* fails if there is no thread */
  return atomic_load(&memory->most_bytes);
}
