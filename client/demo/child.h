/* child.h - commands that the demo runs and that must not outlive it. */
#ifndef DEMO_CHILD_H
#define DEMO_CHILD_H

#include <sys/types.h>

#define CHILD_INTERRUPTED (-2)

/* Runs argv[0] (a path) to its end, its output into the file `output` unless that
 * is NULL. Returns its exit status; -1 where it could not be run, was killed or
 * took longer than two minutes; CHILD_INTERRUPTED where this process was sent
 * SIGINT, SIGTERM or SIGHUP meanwhile: it passes them on, waits for the child all
 * the same, and goes on, so that the caller can clean up. */
int child_run(char *const argv[], const char *output);

/* In a child between fork and exec: ends with its parent, however that ends. */
void child_die_with(pid_t parent);

#endif
