#include "digest.h"

#include <errno.h>
#include <fcache.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "py_keys.h"

#define PIECE_BYTES (1u << 20)

PyObject *digest_hex(const uint8_t bytes[DIGEST_SIZE]) {
  static const char digits[] = "0123456789abcdef";
  char text[2 * DIGEST_SIZE];
  for (size_t i = 0; i < DIGEST_SIZE; i++) {
    text[2 * i] = digits[bytes[i] >> 4];
    text[2 * i + 1] = digits[bytes[i] & 15];
  }
  return PyUnicode_FromStringAndSize(text, sizeof text);
}

PyObject *digest_bytes(const void *data, size_t size) {
  struct fcache_hash hash = fcache_hash(data, size);
  return digest_hex(hash.bytes);
}

static PyObject *prompt_hash(PyObject *module, PyObject *prompt) {
  struct fcache_hash hash;
  (void)module;
  return keys_prompt(prompt, &hash) < 0 ? NULL : digest_hex(hash.bytes);
}

/* Reads to the end of the file. 0 or an errno. */
static int digest_fd(int fd, XXH3_state_t *state, uint8_t *piece) {
  for (;;) {
    ssize_t n = read(fd, piece, PIECE_BYTES);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n < 0 ? errno : 0;
    (void)XXH3_128bits_update(state, piece, (size_t)n); /* fails only for NULL */
  }
}

/* Runs without the GIL. 0 or an errno. */
static int digest_path(const char *path, uint8_t out[DIGEST_SIZE]) {
  XXH3_state_t *state = XXH3_createState();
  uint8_t *piece = malloc(PIECE_BYTES);
  int fd = -1, error = ENOMEM;
  if (state != NULL && piece != NULL) {
    fd = open(path, O_RDONLY | O_CLOEXEC);
    error = fd < 0 ? errno : 0;
  }
  if (fd >= 0) {
    XXH128_canonical_t canonical;
    (void)XXH3_128bits_reset(state); /* fails only for NULL */
    error = digest_fd(fd, state, piece);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(out, canonical.digest, DIGEST_SIZE);
    (void)close(fd); /* only read from */
  }
  free(piece);
  (void)XXH3_freeState(state);
  return error;
}

static PyObject *file_digest(PyObject *module, PyObject *path) {
  PyObject *encoded;
  uint8_t digest[DIGEST_SIZE];
  int error;
  (void)module;
  if (!PyUnicode_FSConverter(path, &encoded))
    return NULL;
  Py_BEGIN_ALLOW_THREADS;
  error = digest_path(PyBytes_AS_STRING(encoded), digest);
  Py_END_ALLOW_THREADS;
  Py_DECREF(encoded);
  if (error == 0)
    return digest_hex(digest);
  errno = error;
  return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
}

PyMethodDef digest_methods[] = {
    {"prompt_hash", prompt_hash, METH_O,
     "prompt_hash(prompt, /)\n--\n\nReturns the XXH3-128 (seed 0) of a prompt, of a str that of "
     "its "
     "UTF-8, as 32 hex digits: the form in traces and listings."},
    {"file_digest", file_digest, METH_O,
     "file_digest(path, /)\n--\n\nReturns the XXH3-128 (seed 0) of a file's bytes as 32 hex "
     "digits. "
     "Releases the GIL. Raises OSError if the file cannot be read."},
    {NULL, NULL, 0, NULL},
};
