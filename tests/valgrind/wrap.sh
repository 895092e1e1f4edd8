#!/bin/sh
# wrap.sh PROGRAM ARGS...: PROGRAM under valgrind; any finding is a failing status. Children that it
# starts are followed only where they are forks of itself.
exec valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
  --track-fds=no --fair-sched=try --child-silent-after-fork=no "$@"
