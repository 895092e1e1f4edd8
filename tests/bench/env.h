/* env.h - where the bench starts its servers. */
#ifndef BENCH_ENV_H
#define BENCH_ENV_H

/* The strings outlive what is started there. */
struct bench_env {
  const char *dir;     /* private temporary folder, for sockets, logs and files */
  const char *fcached; /* path of the daemon */
  const char *peers;   /* folder that fetch-peers.sh filled */
  int cpu;             /* the CPU of all processes; -1: any */
};

#endif
