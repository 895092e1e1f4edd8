#include "soak_sample.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const soak_value_names[SOAK_VALUES] = {
    "daemon fds",   "daemon maps",      "daemon anon KiB", "daemon shm KiB", "workers fds",
    "workers maps", "workers anon KiB", "stored fds",      "stored KiB"};

/* An absolute part, and a part of the mean. The buffers of the workers' 27 handles grow to the
 * largest value that each of them has met, which takes minutes. */
static const struct {
  double most, ratio;
} tolerances[SOAK_VALUES] = {
    [SOAK_DAEMON_FDS] = {2, 0},          [SOAK_DAEMON_MAPS] = {4, 0.05},
    [SOAK_DAEMON_ANON_KB] = {512, 0.1},  [SOAK_DAEMON_SHMEM_KB] = {1024, 0.1},
    [SOAK_WORKER_FDS] = {4, 0},          [SOAK_WORKER_MAPS] = {16, 0.05},
    [SOAK_WORKER_ANON_KB] = {7168, 0.1}, [SOAK_STORED] = {1, 0},
    [SOAK_STORED_KB] = {1024, 0.05},
};

static void *open_proc(pid_t pid, const char *name, bool is_dir) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
  void *file = is_dir ? (void *)opendir(path) : (void *)fopen(path, "re");
  if (file == NULL)
    perror(path);
  return file;
}

static bool add_fds(pid_t pid, double *sum) {
  DIR *dir = open_proc(pid, "fd", true);
  if (dir == NULL)
    return false;
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
    *sum += entry->d_name[0] != '.';
  (void)closedir(dir);
  return true;
}

static bool add_maps(pid_t pid, double *sum) {
  FILE *file = open_proc(pid, "maps", false);
  if (file == NULL)
    return false;
  for (int c; (c = fgetc(file)) != EOF;)
    *sum += c == '\n';
  (void)fclose(file); /* only read */
  return true;
}

/* Adds a field of /proc/PID/status in KiB. */
static bool add_status(pid_t pid, const char *field, double *sum) {
  FILE *file = open_proc(pid, "status", false);
  char line[256];
  bool found = false;
  size_t size = strlen(field);
  if (file == NULL)
    return false;
  while (!found && fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, field, size) == 0 && line[size] == ':') {
      *sum += strtod(line + size + 1, NULL);
      found = true;
    }
  (void)fclose(file); /* only read */
  return found;
}

static void add_stored(struct service_manager *manager, double values[SOAK_VALUES]) {
  struct stat status;
  values[SOAK_STORED] = service_manager_count(manager, NULL);
  for (unsigned i = 0; i < manager->n_stored; i++) /* no daemon sends messages at this moment */
    if (fstat(manager->stored[i].fd, &status) == 0)
      values[SOAK_STORED_KB] += (double)status.st_blocks / 2;
}

bool soak_sample_take(struct soak_sample *sample, struct service_manager *manager,
                      const pid_t *workers, size_t n) {
  double *values = sample->values;
  pid_t daemon = manager->daemon.pid;
  bool good = add_fds(daemon, &values[SOAK_DAEMON_FDS]) &&
              add_maps(daemon, &values[SOAK_DAEMON_MAPS]) &&
              add_status(daemon, "RssAnon", &values[SOAK_DAEMON_ANON_KB]) &&
              add_status(daemon, "RssShmem", &values[SOAK_DAEMON_SHMEM_KB]);
  for (size_t i = 0; i < n && good; i++)
    good = add_fds(workers[i], &values[SOAK_WORKER_FDS]) &&
           add_maps(workers[i], &values[SOAK_WORKER_MAPS]) &&
           add_status(workers[i], "RssAnon", &values[SOAK_WORKER_ANON_KB]);
  add_stored(manager, values);
  return good;
}

static double least(const struct soak_sample *samples, size_t n, enum soak_value value) {
  double least = samples[0].values[value];
  for (size_t i = 1; i < n; i++)
    if (samples[i].values[value] < least)
      least = samples[i].values[value];
  return least;
}

/* A leak raises the least value too. A mean, or a line through all samples, also rises if a lent
 * buffer is in use at one of the last samples. */
double soak_sample_rise(const struct soak_sample *samples, size_t n, enum soak_value value) {
  return least(samples + n / 2, n - n / 2, value) - least(samples, n / 2, value);
}

double soak_sample_tolerance(const struct soak_sample *samples, size_t n, enum soak_value value) {
  double sum = 0;
  for (size_t i = 0; i < n; i++)
    sum += samples[i].values[value];
  return tolerances[value].most + tolerances[value].ratio * sum / (double)n;
}
