/* foreground.h - runs a command as a shell does one in the foreground: in our
 * process group, with our terminal and descriptors. */
#ifndef FC_CTL_FOREGROUND_H
#define FC_CTL_FOREGROUND_H

#include "client/ctl/run/signals.h"

/* Runs argv[0] (found in PATH) to its end. The signals of signals_take, SIGCHLD
 * apart, that a process sends us are passed on; those of the terminal reach it
 * without us. Returns its exit status, or 128 + signal where it was killed, with
 * *ran true; else 127 where there is no such program, 126 where it cannot be
 * executed, which it says on stderr. */
int foreground_run(char *const argv[], struct signals *signals, bool *ran);

#endif
