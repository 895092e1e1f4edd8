/* env.h - directories, programs and CPU of the servers of the bench. */
#ifndef BENCH_ENV_H
#define BENCH_ENV_H

/* The strings outlive the servers. */
struct bench_env {
  const char *dir;     /* private temporary directory for sockets, logs and files */
  const char *fcached; /* path of the daemon */
  const char *peers;   /* directory that fetch-peers.sh filled */
  int cpu;             /* CPU of all processes; -1: any */
};

#endif
