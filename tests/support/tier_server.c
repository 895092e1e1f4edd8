#include "tests/support/tier_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/tier_certificates.h"

#define ARGS_MAX 96
#define WORDS_MAX 16
#define START_TIMEOUT_MS 30000
#define STOP_TIMEOUT_MS 30000
#define COMMAND_TIMEOUT_S 30
#define LOG_TAIL 2000 /* bytes */
#define START_TRIES 5 /* another process may take the port */

/* ---- programs ---- */

static bool in_path(const char *name) {
  char command[64];
  (void)snprintf(command, sizeof command, "command -v %s", name); /* fits */
  return harness_run((const char *const[]){"sh", "-c", command, NULL}, NULL, NULL) == 0;
}

static const struct {
  const char *variable, *name, *advice;
} engines[TIER_ENGINES] = {
    [TIER_ENGINE_REDIS] = {"REDIS_SERVER", "redis-server",
                           "install the Debian package redis-tools"},
    [TIER_ENGINE_VALKEY] = {"VALKEY_SERVER", "valkey-server",
                            "run make valkey, or install the Debian package valkey-tools"}};

/* Returns a path that stays valid, or NULL. */
static const char *find_program(enum tier_engine engine) {
  static char built[TIER_ENGINES][512];
  const char *given = getenv(engines[engine].variable), *dir = getenv("TIER_PROGRAMS");
  if (given != NULL && given[0] != '\0')
    return access(given, X_OK) == 0 ? given : NULL;
  (void)snprintf(built[engine], sizeof built[engine], "%s/%s", dir != NULL ? dir : "build/tier",
                 engines[engine].name);
  if (access(built[engine], X_OK) == 0)
    return built[engine];
  return in_path(engines[engine].name) ? engines[engine].name : NULL;
}

const char *tier_engine_program(enum tier_engine engine) {
  const char *program = find_program(engine);
  if (program == NULL)
    printf("skipped: tests with %s: it is not installed: %s\n", engines[engine].name,
           engines[engine].advice);
  return program;
}

const char *tier_any_program(void) {
  for (int engine = 0; engine < TIER_ENGINES; engine++) {
    const char *program = find_program((enum tier_engine)engine);
    if (program != NULL)
      return program;
  }
  printf("skipped: tests with a tier: there is no redis-server and no valkey-server: %s\n",
         engines[TIER_ENGINE_REDIS].advice);
  return NULL;
}

bool tier_program_has_tls(const char *program) {
  static const char *const unknown[] = {"Bad directive", "Failed finding TLS support"};
  char *out, *err;
  const char *const argv[] = {program, "--port", "0",         "--tls-port", "1",
                              "--dir", "/",      "--logfile", "",           NULL};
  (void)harness_run(argv, &out, &err); /* without certificates it ends at once */
  bool known = true;
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
    known = known && strstr(out, unknown[i]) == NULL && strstr(err, unknown[i]) == NULL;
  free(out);
  free(err);
  if (!known)
    printf("skipped: tests with TLS: %s was built without it\n", program);
  return known;
}

/* ---- start ---- */

static uint16_t free_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) < 0)
    ck_abort_msg("no free port: %s", strerror(errno));
  (void)close(fd);
  return ntohs(address.sin_port);
}

struct arguments {
  const char *list[ARGS_MAX + 1];
  size_t n;
  char port[8], bus_port[8], password[256], rules[1024];
};

static void add_word(struct arguments *arguments, const char *word) {
  if (arguments->n == ARGS_MAX)
    ck_abort_msg("too many options of a tier server");
  arguments->list[arguments->n++] = word;
}

static void add(struct arguments *arguments, const char *name, const char *value) {
  add_word(arguments, name);
  add_word(arguments, value);
}

static void add_port(struct arguments *arguments, const struct tier_server *server) {
  const struct tier_server_config *config = &server->config;
  (void)snprintf(arguments->port, sizeof arguments->port, "%u", server->port);
  (void)snprintf(arguments->bus_port, sizeof arguments->bus_port, "%u", server->bus_port);
  add(arguments, "--port", config->tls ? "0" : arguments->port);
  add(arguments, "--bind", "127.0.0.1");
  if (config->tls) {
    add(arguments, "--tls-port", arguments->port);
    add(arguments, "--tls-ca-cert-file", server->ca);
    add(arguments, "--tls-cert-file", server->cert);
    add(arguments, "--tls-key-file", server->key);
    add(arguments, "--tls-auth-clients", config->tls_clients ? "yes" : "optional");
  }
  if (config->cluster) {
    add(arguments, "--cluster-enabled", "yes");
    add(arguments, "--cluster-port", arguments->bus_port);
    add(arguments, "--cluster-node-timeout", "2000");
  }
}

/* The server takes the parts of a user's line as words. */
static void add_user(struct arguments *arguments, const struct tier_server_config *config) {
  char *rest = NULL;
  (void)snprintf(arguments->password, sizeof arguments->password, ">%s", config->password);
  (void)snprintf(arguments->rules, sizeof arguments->rules, "%s", config->rules);
  add(arguments, "--user", config->user);
  add(arguments, "on", arguments->password);
  for (char *rule = strtok_r(arguments->rules, " ", &rest); rule != NULL;
       rule = strtok_r(NULL, " ", &rest))
    add_word(arguments, rule);
}

static void add_users(struct arguments *arguments, const struct tier_server_config *config) {
  if (config->user != NULL)
    add_user(arguments, config);
  else if (config->password != NULL)
    add(arguments, "--requirepass", config->password);
}

/* Starts the process. An option of the test is behind the others, and so wins. */
static void spawn(struct tier_server *server) {
  const struct tier_server_config *config = &server->config;
  struct arguments arguments = {.list = {config->program}, .n = 1};
  add_port(&arguments, server);
  add(&arguments, "--unixsocket", server->socket);
  add(&arguments, "--dir", server->dir);
  add(&arguments, "--save", "");
  add(&arguments, "--appendonly", config->persistent ? "yes" : "no");
  add(&arguments, "--daemonize", "no");
  add_users(&arguments, config);
  arguments.list[arguments.n] = NULL;
  int log_fd = open(server->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  (void)unlink(server->socket); /* from before a SIGKILL */
  server->pid = harness_spawn(arguments.list, log_fd, log_fd);
  (void)close(log_fd);
}

static redisContext *connect_admin(const struct tier_server *server) {
  const struct timeval timeout = {.tv_sec = COMMAND_TIMEOUT_S};
  redisContext *context = redisConnectUnixWithTimeout(server->socket, timeout);
  if (context == NULL || context->err != 0) {
    if (context != NULL)
      redisFree(context);
    return NULL;
  }
  (void)redisSetTimeout(context, timeout);
  if (server->config.password != NULL && server->config.user == NULL)
    freeReplyObject(redisCommand(context, "AUTH %s", server->config.password));
  return context;
}

/* Returns true once the server answers or has ended. */
static bool has_started(void *arg) {
  struct tier_server *server = arg;
  pid_t pid = server->pid;
  if (harness_is_gone(&pid)) {
    (void)harness_wait(pid, STOP_TIMEOUT_MS);
    server->pid = 0;
    return true;
  }
  redisContext *context = connect_admin(server);
  if (context == NULL)
    return false;
  redisReply *reply = redisCommand(context, "PING");
  bool loads = reply != NULL && reply->type == REDIS_REPLY_ERROR &&
               strncmp(reply->str, "LOADING", strlen("LOADING")) == 0;
  bool answers = reply != NULL && (!loads || server->config.may_load);
  freeReplyObject(reply);
  redisFree(context);
  return answers;
}

static void wait_started(struct tier_server *server) {
  if (!harness_wait_until(has_started, server, START_TIMEOUT_MS))
    ck_abort_msg("%s does not answer after %d ms, see %s", server->config.program, START_TIMEOUT_MS,
                 server->log);
}

static void fail_start(const struct tier_server *server) {
  char *log = harness_read_file(server->log, NULL);
  size_t size = log != NULL ? strlen(log) : 0; /* the end of it: Check's messages are bounded */
  ck_abort_msg("%s ended instead of serving: %s", server->config.program,
               size > LOG_TAIL ? log + size - LOG_TAIL : log);
}

static void write_password(struct tier_server *server) {
  if (server->config.password == NULL)
    return;
  (void)snprintf(server->password_file, sizeof server->password_file, "%.90s/password",
                 server->dir);
  int fd = open(server->password_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || dprintf(fd, "%s\n", server->config.password) < 0 || close(fd) < 0)
    ck_abort_msg("cannot write %s: %s", server->password_file, strerror(errno));
}

static void place(struct tier_server *server) {
  harness_make_dir(server->dir);
  (void)snprintf(server->socket, sizeof server->socket, "%.90s/t", server->dir);
  (void)snprintf(server->log, sizeof server->log, "%.90s/log", server->dir);
  if (server->config.tls) {
    tier_certificates_make(server->dir);
    (void)snprintf(server->ca, sizeof server->ca, "%.80s/" TIER_CERTIFICATES_CA, server->dir);
    (void)snprintf(server->cert, sizeof server->cert, "%.80s/" TIER_CERTIFICATES_CERT, server->dir);
    (void)snprintf(server->key, sizeof server->key, "%.80s/" TIER_CERTIFICATES_KEY, server->dir);
  }
  write_password(server);
}

static void set_urls(struct tier_server *server) {
  const char *user = server->config.user != NULL ? server->config.user : "";
  const char *at = user[0] != '\0' ? "@" : "";
  (void)snprintf(server->unix_url, sizeof server->unix_url, "unix://%s%s%s", user, at,
                 server->socket);
  if (server->port == 0)
    memcpy(server->url, server->unix_url, sizeof server->url);
  else
    (void)snprintf(server->url, sizeof server->url, "%s://%s%s127.0.0.1:%u",
                   server->config.tls ? "rediss" : "redis", user, at, server->port);
}

void tier_server_start(struct tier_server *server, const struct tier_server_config *config) {
  *server = (struct tier_server){.config = *config};
  place(server);
  for (int i = 0; i < START_TRIES && server->pid == 0; i++) {
    server->port = config->tcp || config->tls || config->cluster ? free_port() : 0;
    server->bus_port = config->cluster ? free_port() : 0;
    spawn(server);
    wait_started(server);
  }
  if (server->pid == 0)
    fail_start(server);
  set_urls(server);
}

/* ---- life ---- */

static void end(struct tier_server *server, int signal_number) {
  pid_t pid = server->pid;
  if (pid == 0)
    return;
  server->pid = 0;
  (void)kill(pid, signal_number);
  (void)kill(pid, SIGCONT); /* a test may have stopped it */
  (void)harness_wait(pid, STOP_TIMEOUT_MS);
}

void tier_server_stop(struct tier_server *server) {
  end(server, SIGTERM);
}

void tier_server_kill9(struct tier_server *server) {
  end(server, SIGKILL);
}

void tier_server_restart(struct tier_server *server) {
  ck_assert_int_eq(server->pid, 0);
  spawn(server);
  wait_started(server);
  if (server->pid == 0)
    fail_start(server);
}

void tier_server_freeze(const struct tier_server *server) {
  const struct daemon process = {.pid = server->pid};
  if (!harness_freeze(&process))
    ck_abort_msg("the tier server %d cannot be stopped", (int)server->pid);
}

void tier_server_thaw(const struct tier_server *server) {
  if (kill(server->pid, SIGCONT) != 0)
    ck_abort_msg("the tier server %d cannot be continued: %s", (int)server->pid, strerror(errno));
}

/* ---- commands ---- */

static void print_reply(FILE *out, const redisReply *reply) {
  switch (reply->type) {
  case REDIS_REPLY_INTEGER:
    (void)fprintf(out, "%lld", reply->integer);
    break;
  case REDIS_REPLY_NIL:
    (void)fputs("(nil)", out);
    break;
  case REDIS_REPLY_ARRAY:
    for (size_t i = 0; i < reply->elements; i++) {
      print_reply(out, reply->element[i]);
      (void)fputc('\n', out);
    }
    break;
  default:
    (void)fwrite(reply->str, 1, reply->len, out);
    break;
  }
}

static redisReply *send_words(const struct tier_server *server, const char *first, va_list args) {
  const char *words[WORDS_MAX];
  int n = 0;
  for (const char *word = first; word != NULL; word = va_arg(args, const char *)) {
    ck_assert_int_lt(n, WORDS_MAX);
    words[n++] = word;
  }
  redisContext *context = connect_admin(server);
  if (context == NULL)
    ck_abort_msg("cannot connect to the tier server at %s", server->socket);
  redisReply *reply = redisCommandArgv(context, n, words, NULL);
  if (reply == NULL)
    ck_abort_msg("%s: no reply from the tier server at %s: %s", words[0], server->socket,
                 context->errstr);
  redisFree(context);
  return reply;
}

char *tier_server_command(const struct tier_server *server, ...) {
  char *text = NULL;
  size_t size;
  va_list args;
  va_start(args, server);
  redisReply *reply = send_words(server, va_arg(args, const char *), args);
  va_end(args);
  FILE *out = open_memstream(&text, &size);
  ck_assert_ptr_nonnull(out);
  print_reply(out, reply);
  ck_assert_int_eq(fclose(out), 0);
  freeReplyObject(reply);
  return text;
}

void tier_server_do(const struct tier_server *server, ...) {
  va_list args;
  va_start(args, server);
  redisReply *reply = send_words(server, va_arg(args, const char *), args);
  va_end(args);
  if (reply->type == REDIS_REPLY_ERROR)
    ck_abort_msg("the tier server at %s refused a command: %s", server->socket, reply->str);
  freeReplyObject(reply);
}

long long tier_server_number(const struct tier_server *server, ...) {
  va_list args;
  va_start(args, server);
  redisReply *reply = send_words(server, va_arg(args, const char *), args);
  va_end(args);
  if (reply->type != REDIS_REPLY_INTEGER)
    ck_abort_msg("the tier server at %s replied no number", server->socket);
  long long number = reply->integer;
  freeReplyObject(reply);
  return number;
}
