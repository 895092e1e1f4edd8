/* digest.h - XXH3-128 for Python: of prompts, and of files. */
#ifndef FCACHED_PY_DIGEST_H
#define FCACHED_PY_DIGEST_H

#include <Python.h>

/* Methods of the module: prompt_hash(str | bytes) -> 32 hex digits, as in keys and traces;
 * file_digest(path) -> 32 hex digits of a file's bytes, read in pieces without the GIL. */
extern PyMethodDef digest_methods[];

#endif
