#include "daemon/config/tier_files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRONG_SIZE 256u

static void check_file(const char *option, const char *path, tier_file_wrong_fn *wrong, void *arg) {
  char text[WRONG_SIZE];
  struct stat st;
  if (path == NULL)
    return;
  if (stat(path, &st) < 0 || access(path, R_OK) < 0) {
    const char *remedy =
        errno == ENOENT ? "create it, or correct the path" : "let fcached's user read it";
    (void)snprintf(text, sizeof text, "cannot be read: %s: %s", strerror(errno),
                   remedy); /* cut if it is longer */
    wrong(arg, option, path, text);
  } else if (!S_ISREG(st.st_mode)) {
    wrong(arg, option, path, "it is not a regular file: give the path of one");
  } else if (st.st_size == 0) {
    wrong(arg, option, path, "it is empty: write its content, or give another file");
  }
}

void tier_files_check(const struct options *options, tier_file_wrong_fn *wrong, void *arg) {
  if (options->tier == NULL)
    return;
  check_file("tier-password-file", options->tier_password_file, wrong, arg);
  check_file("tier-ca", options->tier_ca, wrong, arg);
  check_file("tier-cert", options->tier_cert, wrong, arg);
  check_file("tier-key", options->tier_key, wrong, arg);
}

bool tier_files_password_is_public(const struct options *options) {
  struct stat st;
  return options->tier != NULL && options->tier_password_file != NULL &&
         stat(options->tier_password_file, &st) == 0 && (st.st_mode & S_IROTH) != 0;
}
