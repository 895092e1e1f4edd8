/* The sources of the configuration against a model: random values from the defaults, systemd's
 * directories, the main file, files in FILE.d and the command line. The strongest one wins, and is
 * named as the source. */
#include "daemon/config/config.h"
#include "daemon/config/option_value.h"
#include "daemon/config/options_set.h"
#include "tests/support/runner.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DROPINS = 4, ROUNDS = 400, PATH_SIZE = 256 };

/* Two values of each option that no other source contradicts, as option_format prints them. */
static const struct {
  const char *name, *values[2];
} choices[] = {
    {"socket", {"/run/a.sock", "/run/b.sock"}},
    {"max-bytes", {"512M", "1G"}},
    {"max-value", {"4M", "8M"}},
    {"max-clients", {"7", "70"}},
    {"user-share", {"50", "100"}},
    {"client-budget", {"128M", "256M"}},
    {"no-region", {"no", "yes"}},
    {"trace", {"/t/a", "none"}},
    {"trace-dir", {"/t/b", "none"}},
    {"state", {"/s/a", "none"}},
    {"hello-timeout", {"0.5", "3600"}},
    {"snapshot-interval", {"0", "60"}},
    {"admin-group", {"root", "77777"}},
    {"verbose", {"no", "yes"}},
    {"tier", {"redis://a.example:7000/2", "none"}},
    {"tier-password-file", {"/p/a", "none"}},
    {"tier-mode", {"read-only", "write-only"}},
    {"tier-namespaces", {"gpt2-*,!*-private", "none"}},
    {"tier-deadline", {"0.05", "1"}},
};
enum { CHOICES = sizeof choices / sizeof choices[0] };

static char dir[PATH_SIZE];
static unsigned seed;

static unsigned draw(unsigned below) {
  seed = seed * 1103515245u + 12345u;
  return (seed >> 16) % below;
}

/* What is expected of each option. */
struct expected {
  char value[OPTION_TEXT_SIZE], source[CONFIG_SOURCE_TEXT_SIZE];
};

static struct expected model[OPTIONS_MAX];

static struct expected *of(const char *name) {
  return &model[option_index(option_find(name))];
}

static void expect(const char *name, const char *value, const char *source) {
  (void)snprintf(of(name)->value, sizeof of(name)->value, "%s", value);
  (void)snprintf(of(name)->source, sizeof of(name)->source, "%s", source);
}

static void expect_defaults(void) {
  struct options options;
  options_init(&options);
  for (size_t i = 0; i < option_count; i++) {
    (void)option_format(&options, &option_table[i], model[i].value);
    (void)snprintf(model[i].source, sizeof model[i].source, "default");
  }
}

static void pass_directory(const char *variable, const char *option) {
  (void)unsetenv(variable);
  if (draw(2) == 0)
    return;
  (void)setenv(variable, "/systemd/one:/systemd/two", 1);
  expect(option, "/systemd/one", "systemd");
}

/* The file `tier-password` may be there or not. */
static void pass_credentials(void) {
  char credentials[PATH_SIZE * 2], password[PATH_SIZE * 3];
  (void)snprintf(credentials, sizeof credentials, "%s/credentials", dir);
  (void)snprintf(password, sizeof password, "%s/tier-password", credentials);
  (void)mkdir(credentials, 0700); /* from an earlier round, maybe */
  (void)unlink(password);
  (void)setenv("CREDENTIALS_DIRECTORY", credentials, 1);
  if (draw(2) == 0)
    return;
  FILE *file = fopen(password, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fclose(file), 0);
  expect("tier-password-file", password, "systemd");
}

/* Writes a file with random keys, each with a comment before it. */
static void write_file(const char *path) {
  FILE *file = fopen(path, "w");
  unsigned line = 0;
  ck_assert_ptr_nonnull(file);
  for (size_t i = 0; i < CHOICES; i++) {
    char source[CONFIG_SOURCE_TEXT_SIZE];
    const char *value = choices[i].values[draw(2)];
    if (draw(3) > 0)
      continue;
    line += 2;
    ck_assert_int_gt(fprintf(file, "# a comment\n%s = %s\n", choices[i].name, value), 0);
    (void)snprintf(source, sizeof source, "%s:%u", path, line);
    expect(choices[i].name, value, source);
  }
  ck_assert_int_eq(fclose(file), 0);
}

static void give_option(struct command_line *command_line) {
  for (size_t i = 0; i < CHOICES; i++) {
    char source[CONFIG_SOURCE_TEXT_SIZE];
    const char *value = choices[i].values[draw(2)];
    if (draw(4) > 0)
      continue;
    command_line->values[option_index(option_find(choices[i].name))] = value;
    (void)snprintf(source, sizeof source, "--%s", choices[i].name);
    expect(choices[i].name, value, source);
  }
}

static void unexpected(void *arg, const char *text) {
  (void)arg;
  ck_abort_msg("%s", text);
}

static void compare(const struct config *config) {
  for (size_t i = 0; i < option_count; i++) {
    char value[OPTION_TEXT_SIZE], source[CONFIG_SOURCE_TEXT_SIZE];
    const char *name = option_table[i].name;
    (void)option_format(&config->options, &option_table[i], value);
    (void)config_source_text(config, i, source);
    ck_assert_msg(strcmp(value, model[i].value) == 0 && strcmp(source, model[i].source) == 0,
                  "%s is %s from %s, not %s from %s", name, value, source, model[i].value,
                  model[i].source);
  }
}

START_TEST(config_load_strongest_source_wins) {
  /* In byte order: capitals before small letters, and 10 before 9. */
  static const char *const dropins[DROPINS] = {"10-x.conf", "9.conf", "Z.conf", "a.conf"};
  static const char *const ignored[] = {".hidden.conf", "x.conf~", "x.conf.dpkg-old", ".conf"};
  for (int round = 0; round < ROUNDS; round++) {
    char path[PATH_SIZE * 2];
    struct command_line command_line = {.config = NULL};
    struct config config;
    expect_defaults();
    pass_directory("STATE_DIRECTORY", "state");
    pass_directory("LOGS_DIRECTORY", "trace-dir");
    pass_credentials();
    (void)snprintf(path, sizeof path, "%s/fcached.conf", dir);
    (void)unlink(path);
    if (draw(4) > 0)
      write_file(path);
    for (size_t i = 0; i < DROPINS; i++) {
      (void)snprintf(path, sizeof path, "%s/fcached.conf.d/%s", dir, dropins[i]);
      (void)unlink(path);
      if (draw(2) > 0)
        write_file(path);
    }
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
      (void)snprintf(path, sizeof path, "%s/fcached.conf.d/%s", dir, ignored[i]);
      FILE *file = fopen(path, "w");
      ck_assert_ptr_nonnull(file);
      ck_assert_int_gt(fprintf(file, "wrong\n"), 0);
      ck_assert_int_eq(fclose(file), 0);
    }
    give_option(&command_line);
    ck_assert_int_eq(config_load(&config, &command_line, unexpected, NULL), 0);
    compare(&config);
    config_deinit(&config);
  }
}
END_TEST

/* Where the files are looked for. */
START_TEST(config_default_path_follows_the_environment) {
  static const struct {
    const char *passed, *runtime, *config, *home, *path;
  } rows[] = {
      {"/etc/x", "/run/user/1", "/c", "/h", "/etc/x/fcached.conf"},
      {"/etc/x:/etc/y", NULL, NULL, NULL, "/etc/x/fcached.conf"},
      {"relative", NULL, NULL, "/h", CONFIG_SYSTEM_PATH},
      {NULL, "/run/user/1", "/c", "/h", "/c/fcached/fcached.conf"},
      {NULL, "/run/user/1", NULL, "/h", "/h/.config/fcached/fcached.conf"},
      {NULL, "/run/user/1", "relative", "/h", "/h/.config/fcached/fcached.conf"},
      {NULL, "/run/user/1", NULL, NULL, CONFIG_SYSTEM_PATH},
      {NULL, NULL, "/c", "/h", CONFIG_SYSTEM_PATH},
      {NULL, "relative", "/c", "/h", CONFIG_SYSTEM_PATH},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *const names[] = {"CONFIGURATION_DIRECTORY", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME",
                                 "HOME"};
    const char *const values[] = {rows[i].passed, rows[i].runtime, rows[i].config, rows[i].home};
    for (size_t j = 0; j < 4; j++) {
      if (values[j] != NULL)
        ck_assert_int_eq(setenv(names[j], values[j], 1), 0);
      else
        ck_assert_int_eq(unsetenv(names[j]), 0);
    }
    char *path = config_default_path();
    ck_assert_str_eq(path, rows[i].path);
    free(path);
  }
}
END_TEST

/* A service that starts a private daemon passes the service's own directories on. */
START_TEST(config_directories_of_another_process_are_ignored) {
  char pid[32];
  (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
  ck_assert_int_eq(setenv("STATE_DIRECTORY", "/s", 1), 0);
  ck_assert_int_eq(setenv("SYSTEMD_EXEC_PID", pid, 1), 0);
  char *own = config_systemd_directory("STATE_DIRECTORY");
  ck_assert_str_eq(own, "/s");
  free(own);
  ck_assert_int_eq(setenv("SYSTEMD_EXEC_PID", "1", 1), 0);
  ck_assert_ptr_null(config_systemd_directory("STATE_DIRECTORY"));
  ck_assert_int_eq(setenv("SYSTEMD_EXEC_PID", "x", 1), 0);
  ck_assert_ptr_null(config_systemd_directory("STATE_DIRECTORY"));
}
END_TEST

static void make_dir(void) {
  char dropins[PATH_SIZE * 2];
  const char *tmp = getenv("TMPDIR");
  (void)snprintf(dir, sizeof dir, "%s/fcached-config-XXXXXX", tmp != NULL ? tmp : "/tmp");
  ck_assert_ptr_nonnull(mkdtemp(dir));
  (void)snprintf(dropins, sizeof dropins, "%s/fcached.conf.d", dir);
  ck_assert_int_eq(mkdir(dropins, 0700), 0);
  ck_assert_int_eq(setenv("CONFIGURATION_DIRECTORY", dir, 1), 0);
  seed = (unsigned)getpid();
  printf("seed %u\n", seed);
}

static void empty(const char *path) {
  DIR *opened = opendir(path);
  struct dirent *entry;
  while (opened != NULL && (entry = readdir(opened)) != NULL)
    (void)unlinkat(dirfd(opened), entry->d_name, 0);
  if (opened != NULL)
    (void)closedir(opened);
  (void)rmdir(path);
}

static void remove_dir(void) {
  char inner[PATH_SIZE * 2];
  (void)snprintf(inner, sizeof inner, "%s/fcached.conf.d", dir);
  empty(inner);
  (void)snprintf(inner, sizeof inner, "%s/credentials", dir);
  empty(inner);
  empty(dir);
}

int main(void) {
  Suite *suite = suite_create("config");
  TCase *sources = tcase_create("sources"), *places = tcase_create("places");
  tcase_add_unchecked_fixture(sources, make_dir, remove_dir);
  tcase_add_test(sources, config_load_strongest_source_wins);
  tcase_add_test(places, config_default_path_follows_the_environment);
  tcase_add_test(places, config_directories_of_another_process_are_ignored);
  suite_add_tcase(suite, sources);
  suite_add_tcase(suite, places);
  return runner_run(suite);
}
