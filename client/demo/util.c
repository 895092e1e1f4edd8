#include "client/demo/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void out_of_memory(void) {
  fputs("demo: out of memory\n", stderr);
  exit(1);
}

void *demo_alloc(size_t n, size_t size) {
  void *memory = calloc(n ? n : 1, size ? size : 1);
  if (!memory)
    out_of_memory();
  return memory;
}

void *demo_realloc(void *old, size_t n, size_t size) {
  void *memory = reallocarray(old, n ? n : 1, size ? size : 1);
  if (!memory)
    out_of_memory();
  return memory;
}

uint64_t demo_random(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

size_t demo_random_between(uint64_t *state, size_t low, size_t high) {
  return low + (size_t)(demo_random(state) % (uint64_t)(high - low + 1));
}

void demo_path(char path[DEMO_PATH_SIZE], const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(path, DEMO_PATH_SIZE, format, args);
  va_end(args);
  if (n < 0 || n >= DEMO_PATH_SIZE) {
    fputs("demo: a path is too long\n", stderr);
    exit(1);
  }
}

#define LONGEST_LINE 256

/* Takes the name from behind the number, which ended at `end`. */
static bool take_name(const char *line, const char *end, char *name, size_t name_size) {
  if (end == line || *end != ' ')
    return false;
  size_t size = strcspn(++end, "\n");
  if (end[size] != '\n' || size >= name_size)
    return false;
  memcpy(name, end, size);
  name[size] = '\0';
  return true;
}

bool demo_read_figure(FILE *file, double *number, char *name, size_t name_size) {
  char line[LONGEST_LINE], *end = NULL;
  if (!fgets(line, sizeof line, file))
    return false;
  *number = strtod(line, &end);
  return take_name(line, end, name, name_size);
}

bool demo_read_count(FILE *file, uint64_t *number, char *name, size_t name_size) {
  char line[LONGEST_LINE], *end = NULL;
  if (!fgets(line, sizeof line, file))
    return false;
  errno = 0;
  *number = strtoull(line, &end, 10);
  return errno == 0 && take_name(line, end, name, name_size);
}

uint64_t demo_now_ns(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
    return 0; /* cannot happen on Linux */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
