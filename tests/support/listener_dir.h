/* listener_dir.h - a directory for the socket of a struct listener, and checks of its errors. */
#ifndef FC_TESTS_LISTENER_DIR_H
#define FC_TESTS_LISTENER_DIR_H

#include "daemon/os/listener.h"

extern struct listener_dir {
  char dir[64], path[96], lock_path[104]; /* the socket's path, and that of its lock file */
  struct error_text error;                /* of listener_dir_open */
} listener_dir;

/* A fixture: creates the directory and clears the environment of listener_open, or removes it. */
void listener_dir_set_up(void);
void listener_dir_tear_down(void);

/* Opens a listener at a path. As listener_open. */
int listener_dir_open(struct listener *listener, const char *path);

/* Connects. Returns a descriptor, or -1. */
int listener_dir_connect(const char *path);

/* Fails the test unless the last error contains `part`. */
void listener_dir_expect_error(const char *part);

#endif
