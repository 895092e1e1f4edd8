/* Wrong configurations: `fcached --check-config` and a start name the file, the line, the key and
 * what is allowed, and exit with 2. Hostile files do no harm. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/harness.h"

enum { TEXT_SIZE = 4096 };

static char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 16];

static void set_up(void) {
  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/x.conf", dir);
}

static void write_bytes(const char *to, const char *bytes, size_t size) {
  int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
  ck_assert_int_eq(close(fd), 0);
}

static void write_text(const char *to, const char *text) {
  write_bytes(to, text, strlen(text));
}

/* Copies `text` with the path of the file for each "@", and of its directory for each "%". */
static void fill_in(const char *text, char filled[TEXT_SIZE]) {
  size_t used = 0;
  for (; *text != '\0'; text++) {
    const char *part = *text == '@' ? path : dir;
    bool is_part = *text == '@' || *text == '%';
    used += (size_t)snprintf(filled + used, TEXT_SIZE - used, "%.*s",
                             is_part ? (int)strlen(part) : 1, is_part ? part : text);
    ck_assert_uint_lt(used, TEXT_SIZE);
  }
  filled[used] = '\0';
}

/* Checks that both a check and a start fail with 2 and print exactly these lines. */
static void expect_wrong(const char *option, const char *want) {
  char filled[TEXT_SIZE];
  fill_in(want, filled);
  const char *const check[] = {harness_fcached(), "--config", path, "--check-config", option, NULL};
  const char *const start[] = {harness_fcached(), "--config", path, option, NULL};
  const char *const *commands[] = {check, start};
  for (size_t i = 0; i < 2; i++) {
    char *out, *err;
    int status = harness_run(commands[i], &out, &err);
    ck_assert_str_eq(err, filled);
    ck_assert_str_eq(out, "");
    ck_assert_int_eq(status, 2);
    free(out);
    free(err);
  }
}

static const struct {
  const char *text, *option, *error; /* option: NULL: none */
} wrong[] = {
    {"max-byts = 1G\n", NULL,
     "fcached: @:1: there is no key \"max-byts\": did you mean max-bytes?\n"},
    {"\n# x\n  max_bytes = 1G\n", NULL,
     "fcached: @:3: there is no key \"max_bytes\": did you mean max-bytes?\n"},
    {"zzzzzzz = 1G\n", NULL,
     "fcached: @:1: there is no key \"zzzzzzz\": see fcached.conf(5) for all keys\n"},
    {"config = /x\n", NULL,
     "fcached: @:1: there is no key \"config\": see fcached.conf(5) for all keys\n"},
    {"max-bytes = 12Q\n", NULL,
     "fcached: @:1: max-bytes: \"12Q\" is not a size: give 4 KiB to 1 PiB, in bytes or with K, M, "
     "G "
     "or T, as in 512M\n"},
    {"max-bytes = 1G # much\n", NULL,
     "fcached: @:1: max-bytes: \"1G # much\" is not a size: give 4 KiB to 1 PiB, in bytes or with "
     "K, M, G or T, as in 512M\n"},
    {"max-bytes = 1\n", NULL, "fcached: @:1: max-bytes: 1 is out of range: give 4 KiB to 1 PiB\n"},
    {"max-clients = 0\n", NULL,
     "fcached: @:1: max-clients: 0 is out of range: give 1 to 1000000\n"},
    {"max-clients =\n", NULL,
     "fcached: @:1: max-clients: \"\" is not a number: give 1 to 1000000\n"},
    {"stall-timeout = 5s\n", NULL,
     "fcached: @:1: stall-timeout: \"5s\" is not a time: give 0.01 to 3600 seconds, with up to "
     "three "
     "decimals\n"},
    {"verbose = maybe\n", NULL,
     "fcached: @:1: verbose: \"maybe\" is neither yes nor no: give one of them\n"},
    {"admin-group = no such group\n", NULL,
     "fcached: @:1: admin-group: there is no group \"no such group\": create it, or give the name "
     "or "
     "number of another\n"},
    {"trace = trace.jsonl\n", NULL,
     "fcached: @:1: trace: \"trace.jsonl\" is not an absolute path: give one that begins with "
     "\"/\", "
     "or none\n"},
    {"socket =\n", NULL, "fcached: @:1: socket: the path is empty: give a path\n"},
    {"max-clients = 1\nmax-clients = 2\n", NULL,
     "fcached: @:2: max-clients: it is set in line 1 already: remove one of them\n"},
    {"max-bytes = 1M\nmax-value = 2M\n", NULL,
     "fcached: @:2: max-value: 2 MiB (2097152 bytes) is more than max-bytes, 1 MiB (1048576 "
     "bytes): "
     "lower it, or raise that\n"},
    {"max-bytes = 1M\n", "--max-value=2M",
     "fcached: --max-value: 2 MiB (2097152 bytes) is more than max-bytes, 1 MiB (1048576 bytes): "
     "lower it, or raise that\n"},
    {"client-budget = 1M\n", NULL,
     "fcached: @:1: client-budget: 1 MiB (1048576 bytes) is less than two frames of max-value "
     "need, "
     "34 MiB (35651584 bytes): raise it, or lower max-value\n"},
    {"[fcached]\nmax-bytes = 1G\n", NULL,
     "fcached: @:1: there are no sections here: remove this line\n"},
    {"max-bytes 1G\n", NULL, "fcached: @:1: there is no \"=\": write KEY = VALUE\n"},
    /* All mistakes at once */
    {"max-byts = 1G\nverbose = 2\nmax-clients = 3\nmax-leases = x\n", NULL,
     "fcached: @:1: there is no key \"max-byts\": did you mean max-bytes?\n"
     "fcached: @:2: verbose: \"2\" is neither yes nor no: give one of them\n"
     "fcached: @:4: max-leases: \"x\" is not a number: give 1 to 10000000\n"},
};

START_TEST(config_wrong_line_is_named) {
  set_up();
  write_text(path, wrong[_i].text);
  expect_wrong(wrong[_i].option, wrong[_i].error);
}
END_TEST

START_TEST(config_wrong_line_of_a_later_file_is_named) {
  char later[HARNESS_PATH_SIZE + 32];
  set_up();
  write_text(path, "max-bytes = 1G\n");
  (void)snprintf(later, sizeof later, "%s.d", path);
  ck_assert_int_eq(mkdir(later, 0700), 0);
  (void)snprintf(later, sizeof later, "%s.d/10.conf", path);
  write_text(later, "# limit\nmax-bytes = 1Z\n");
  expect_wrong(NULL,
               "fcached: @.d/10.conf:2: max-bytes: \"1Z\" is not a size: give 4 KiB to 1 PiB, "
               "in bytes or with K, M, G or T, as in 512M\n");
  ck_assert_int_eq(unlink(later), 0);
  ck_assert_int_eq(mkfifo(later, 0600), 0);
  expect_wrong(NULL, "fcached: @.d/10.conf: not a regular file: give the path of a file with KEY = "
                     "VALUE lines\n");
}
END_TEST

static void missing(void) {}
static void fifo(void) {
  ck_assert_int_eq(mkfifo(path, 0600), 0);
}
static void directory(void) {
  ck_assert_int_eq(mkdir(path, 0700), 0);
}
static void device(void) {
  ck_assert_int_eq(symlink("/dev/zero", path), 0);
}
static void loop(void) {
  ck_assert_int_eq(symlink(path, path), 0);
}
static void large(void) {
  static char bytes[65537];
  memset(bytes, '#', sizeof bytes);
  write_bytes(path, bytes, sizeof bytes);
}
static void nul(void) {
  write_bytes(path, "max-bytes = 1G\0M\n", 17);
}
static void control(void) {
  write_text(path, "\033[2J\a = 1\n");
}
static void dropins_file(void) {
  char name[HARNESS_PATH_SIZE + 64];
  write_text(path, "");
  (void)snprintf(name, sizeof name, "%s.d", path);
  write_text(name, "");
}
static void dangling_link(void) {
  char name[HARNESS_PATH_SIZE + 64];
  write_text(path, "");
  (void)snprintf(name, sizeof name, "%s.d", path);
  ck_assert_int_eq(mkdir(name, 0700), 0);
  (void)snprintf(name, sizeof name, "%s.d/1.conf", path);
  ck_assert_int_eq(symlink("nothing", name), 0);
}
static void too_many(void) {
  char name[HARNESS_PATH_SIZE + 64];
  write_text(path, "");
  (void)snprintf(name, sizeof name, "%s.d", path);
  ck_assert_int_eq(mkdir(name, 0700), 0);
  for (int i = 0; i < 65; i++) {
    (void)snprintf(name, sizeof name, "%s.d/%d.conf", path, i);
    write_text(name, "");
  }
}

static const struct {
  void (*make)(void);
  const char *error;
} hostile[] = {
    {missing, "fcached: @: there is no such file: create it, or give another with --config\n"},
    {fifo, "fcached: @: not a regular file: give the path of a file with KEY = VALUE lines\n"},
    {directory, "fcached: @: not a regular file: give the path of a file with KEY = VALUE lines\n"},
    {device, "fcached: @: not a regular file: give the path of a file with KEY = VALUE lines\n"},
    {loop,
     "fcached: @: cannot be opened: Too many levels of symbolic links: let fcached's user read "
     "it, or remove it\n"},
    {large, "fcached: @: more than 65536 bytes: this is no configuration file\n"},
    {nul, "fcached: @:1: the line contains a NUL byte: this is no text file\n"},
    {control, "fcached: @:1: there is no key \"?[2J?\": see fcached.conf(5) for all keys\n"},
    {dropins_file, "fcached: @.d: cannot be opened: Not a directory: make it a directory that "
                   "fcached's user may read, or remove it\n"},
    {dangling_link, "fcached: @.d/1.conf: there is no such file: it was removed at this moment, or "
                    "is a link to a missing one: remove the link\n"},
    {too_many, "fcached: @.d: more than 64 files: remove some\n"},
};

START_TEST(config_hostile_file_is_refused) {
  set_up();
  hostile[_i].make();
  expect_wrong(NULL, hostile[_i].error);
}
END_TEST

START_TEST(config_unreadable_file_is_refused) {
  set_up();
  write_text(path, "max-bytes = 1G\n");
  ck_assert_int_eq(chmod(path, 0), 0);
  if (access(path, R_OK) == 0) {
    printf("skipped: config_unreadable_file_is_refused: this user may read every file\n");
    return;
  }
  expect_wrong(NULL, "fcached: @: cannot be opened: Permission denied: let fcached's user read it, "
                     "or remove it\n");
}
END_TEST

/* What only --check-config tells, before a start would. % is a directory. */
static const struct {
  const char *text, *error;
} paths[] = {
    {"state = @\n", "fcached: @:1: state: @: it is not a directory: give the path of one\n"},
    {"state = @/below\n",
     "fcached: @:1: state: @/below: a part of the path is not a directory: give another path\n"},
    {"trace-dir = @/a/b\n",
     "fcached: @:1: trace-dir: @/a/b: a part of the path is not a directory: give another path\n"},
    {"trace = %\n", "fcached: @:1: trace: %: it is a directory: give the path of a file\n"},
    {"trace = @/x\n",
     "fcached: @:1: trace: @/x: a part of the path is not a directory: give another path\n"},
    {"socket = %/none/s\n",
     "fcached: @:1: socket: %/none/s: its directory does not exist: create it\n"},
    {"tier = redis://h\ntier-password-file = %/none\n",
     "fcached: @:2: tier-password-file: %/none: cannot be read: No such file or directory: "
     "create it, or correct the path\n"},
    {"tier = rediss://h\ntier-ca = %\ntier-cert = %/empty\ntier-key = /dev/null\n",
     "fcached: @:2: tier-ca: %: it is not a regular file: give the path of one\n"
     "fcached: @:3: tier-cert: %/empty: it is empty: write its content, or give another file\n"
     "fcached: @:4: tier-key: /dev/null: it is not a regular file: give the path of one\n"},
};

START_TEST(config_check_names_a_wrong_path) {
  char text[TEXT_SIZE], want[TEXT_SIZE], *out, *err;
  set_up();
  fill_in("%/empty", text);
  write_text(text, "");
  fill_in(paths[_i].text, text);
  fill_in(paths[_i].error, want);
  write_text(path, text);
  const char *const check[] = {harness_fcached(), "--config", path, "--check-config", NULL};
  int status = harness_run(check, &out, &err);
  ck_assert_str_eq(err, want);
  ck_assert_str_eq(out, "");
  ck_assert_int_eq(status, 2);
  free(out);
  free(err);
}
END_TEST

/* A password in a file that all users can read is no mistake, but a warning. */
START_TEST(config_public_password_is_warned_of) {
  char text[TEXT_SIZE], password[HARNESS_PATH_SIZE + 16], *out, *err;
  set_up();
  (void)snprintf(password, sizeof password, "%s/password", dir);
  write_text(password, "secret\n");
  fill_in("tier = redis://h\ntier-password-file = %/password\n", text);
  write_text(path, text);
  const char *const check[] = {harness_fcached(), "--config", path, "--check-config", NULL};
  for (int public = 0; public <= 1; public ++) {
    ck_assert_int_eq(chmod(password, public ? 0644 : 0640), 0);
    ck_assert_int_eq(harness_run(check, &out, &err), 0);
    fill_in(public ? "fcached: tier-password-file: %/password: all users can read it: take the "
                     "right away with chmod o-r\n"
                   : "",
            text);
    ck_assert_str_eq(err, text);
    ck_assert_ptr_null(strstr(err, "secret"));
    free(out);
    free(err);
  }
}
END_TEST

/* The password of a URL is not printed, and the source is named. */
START_TEST(config_password_in_a_url_is_refused) {
  static const char line[] = "@:1: tier: there is a password in the URL, where others can read it: "
                             "put it into a file, and give the file with tier-password-file\n";
  char want[sizeof line + 16];
  set_up();
  write_text(path, "tier = redis://fleet:secret@cache.internal\n");
  (void)snprintf(want, sizeof want, "fcached: %s", line);
  expect_wrong(NULL, want);
}
END_TEST

START_TEST(config_valid_files_are_listed) {
  char text[TEXT_SIZE], later[HARNESS_PATH_SIZE + 32], *out, *err;
  set_up();
  const char *const check[] = {harness_fcached(), "--config", path, "--check-config", NULL};
  fill_in("max-bytes = 1G\nstate = %/new/state\ntrace = %/new/trace\nsocket = %/socket\n", text);
  write_text(path, text);
  (void)snprintf(later, sizeof later, "%s.d", path);
  ck_assert_int_eq(mkdir(later, 0700), 0);
  (void)snprintf(later, sizeof later, "%s.d/a.conf", path);
  write_text(later, "max-bytes = 2G\n");
  ck_assert_int_eq(harness_run(check, &out, &err), 0);
  fill_in("fcached: the configuration is valid: @, @.d/a.conf\n", text);
  ck_assert_str_eq(out, text);
  ck_assert_str_eq(err, "");
  free(out);
  free(err);
  (void)snprintf(later, sizeof later, "%s/new", dir);
  ck_assert(!harness_exists(later)); /* a check makes nothing */
}
END_TEST

/* The daemon uses the files, and the command line is stronger than they are. */
START_TEST(config_files_are_used_and_named) {
  struct daemon daemon = {0};
  char text[TEXT_SIZE], *out, *err;
  set_up();
  write_text(path, "max-bytes = 32M\nmax-clients = 7\nverbose = yes\n");
  harness_start(&daemon, "--config", path, "--max-clients=9", NULL);
  const char *const stats[] = {
      harness_fcachectl(), "--socket", daemon.socket, "stats", "--json", NULL};
  ck_assert_int_eq(harness_run(stats, &out, &err), 0);
  ck_assert_ptr_nonnull(strstr(out, "\"max_bytes\": 33554432"));
  ck_assert_ptr_nonnull(strstr(out, "\"clients_max\": 9"));
  fill_in("configuration: @\n", text);
  ck_assert(harness_log_has(&daemon, text));
  ck_assert(harness_log_has(&daemon, "serving at")); /* verbose */
  ck_assert_int_eq(harness_stop(&daemon), 0);
  free(out);
  free(err);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof(table)[0])

int main(void) {
  Suite *suite = suite_create("check_config");
  TCase *tc = tcase_create("check_config");
  tcase_add_loop_test(tc, config_wrong_line_is_named, 0, ROWS(wrong));
  tcase_add_test(tc, config_wrong_line_of_a_later_file_is_named);
  tcase_add_loop_test(tc, config_hostile_file_is_refused, 0, ROWS(hostile));
  tcase_add_test(tc, config_unreadable_file_is_refused);
  tcase_add_loop_test(tc, config_check_names_a_wrong_path, 0, ROWS(paths));
  tcase_add_test(tc, config_public_password_is_warned_of);
  tcase_add_test(tc, config_password_in_a_url_is_refused);
  tcase_add_test(tc, config_valid_files_are_listed);
  tcase_add_test(tc, config_files_are_used_and_named);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
