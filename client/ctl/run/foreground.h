/* foreground.h - runs a command as a shell does in the foreground: in this process group, with this
 * terminal and these descriptors. */
#ifndef FC_CTL_FOREGROUND_H
#define FC_CTL_FOREGROUND_H

#include "client/ctl/run/signals.h"

/* Runs argv[0], found in PATH, until it ends. Forwards the signals of signals_block that a process
 * sent, SIGCHLD apart; those of the terminal reach the command without this process. Returns its
 * exit status, or 128 + N if signal N killed it, and sets *ran. If it cannot run, returns 127 (not
 * found) or 126, and reports the error. */
int foreground_run(char *const argv[], struct signals *signals, bool *ran);

#endif
