#include "tests/support/filtered.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/harness.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define FAIL(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define UNLESS_SKIP(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (n))

static int install(struct sock_filter *filter, unsigned short n) {
  struct sock_fprog program = {n, filter};

  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
             ? -1
             : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int refuse_robust_list(unsigned error) {
  struct sock_filter filter[] = {LOAD(nr), UNLESS_SKIP(SYS_set_robust_list, 1), FAIL(error), ALLOW};

  return install(filter, sizeof filter / sizeof filter[0]);
}

/* clone3 has its flags in memory that a filter cannot read. Without clone3 the C library uses
 * clone. The flags are the first argument, its low half first. */
static int refuse_clone(bool threads) {
  struct sock_filter filter[] = {
      LOAD(nr),
      UNLESS_SKIP(SYS_clone3, 1),
      FAIL(ENOSYS),
#ifdef SYS_fork
      UNLESS_SKIP(SYS_fork, 1),
      threads ? (struct sock_filter)ALLOW : (struct sock_filter)FAIL(EAGAIN),
#endif
      UNLESS_SKIP(SYS_clone, 3),
      LOAD(args[0]),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, (uint8_t)(threads ? 0 : 1),
               (uint8_t)(threads ? 1 : 0)),
      FAIL(EAGAIN),
      ALLOW,
  };

  return install(filter, sizeof filter / sizeof filter[0]);
}

static int refuse_watches(unsigned from) {
  struct sock_filter filter[] = {
      LOAD(nr),      UNLESS_SKIP(SYS_epoll_ctl, 5),
      LOAD(args[1]), UNLESS_SKIP(EPOLL_CTL_ADD, 3),
      LOAD(args[2]), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, from, 0, 1),
      FAIL(ENOSPC),  ALLOW,
  };

  return install(filter, sizeof filter / sizeof filter[0]);
}

static int apply(const char *lack) {
  if (strcmp(lack, FILTERED_NO_MARKS) == 0)
    return refuse_robust_list(0);
  if (strcmp(lack, FILTERED_NO_ROBUST) == 0)
    return refuse_robust_list(ENOSYS);
  if (strncmp(lack, FILTERED_NO_WATCHES, strlen(FILTERED_NO_WATCHES)) == 0)
    return refuse_watches((unsigned)strtoul(lack + strlen(FILTERED_NO_WATCHES), NULL, 10));
  return refuse_clone(strcmp(lack, FILTERED_NO_THREADS) == 0);
}

void filtered_become(int argc, char **argv) {
  if (argc < 4 || strcmp(argv[1], "--filtered") != 0)
    return;
  if (apply(argv[2]) == 0)
    (void)execv(argv[3], argv + 3);
  perror("a seccomp filter");
  _exit(126);
}

const char *filtered_use_shell(const char *command) {
  char dir[HARNESS_PATH_SIZE], script[HARNESS_PATH_SIZE + 16];
  FILE *file;

  harness_make_dir(dir);
  snprintf(script, sizeof script, "%s/fcached", dir);
  (void)setenv("REAL", harness_fcached(), 1);
  file = fopen(script, "we");
  ck_assert_ptr_nonnull(file);
  fprintf(file, "#!/bin/sh\n%s\n", command);
  ck_assert_int_eq(fchmod(fileno(file), 0700), 0);
  ck_assert_int_eq(fclose(file), 0);
  (void)setenv("FCACHED", script, 1);
  return getenv("REAL");
}

bool filtered_use(const char *lack) {
  char self[4096], command[4200];
  ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

  ck_assert_int_gt(size, 0);
  self[size] = '\0';
  const char *const probe[] = {self, "--filtered", lack, "/bin/true", NULL};
  if (harness_run(probe, NULL, NULL) != 0) {
    printf("skipped: no seccomp filters here\n");
    return false;
  }
  snprintf(command, sizeof command, "exec '%s' --filtered %s \"$REAL\" \"$@\"", self, lack);
  (void)filtered_use_shell(command);
  return true;
}
