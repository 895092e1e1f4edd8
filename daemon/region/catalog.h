/* catalog.h - the daemon's own memory that survives it: the metadata of entries and namespaces,
 * manifests, counters and leases, in one memory file that no client receives.
 *
 * The next daemon maps the file writable and uses it in place. So a kill at any instruction must
 * leave it usable: an element becomes valid by the last store (catalog_commit_u32), and invalid by
 * the first one, before what it names is freed or reused. Nothing derived is trusted: the next
 * daemon rebuilds orders, counts and bitmaps from the elements (store/adopt.h).
 *
 * The file has a header, a spare chunk, and areas of elements. Sizes of elements come from the
 * upper layers. Each area but the last has a fixed number of elements, and the file is sparse:
 * memory is allocated by catalog_commit before its first use, so that no access can fail. Addresses
 * are stable until catalog_deinit. One thread. */
#ifndef FC_DAEMON_CATALOG_H
#define FC_DAEMON_CATALOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/error_text.h"
#include "daemon/base/slots.h"
#include "proto/shm/region_layout.h"

/* Only tests set it, to prove that the crash storm would detect the error. A daemon with it is
 * built as the mutants of FC_REGION_MUTANT are.
 *   1 an entry that is removed stays live in the catalog, and its bytes stay (store_entries.c)
 *   2 a segment is given up when half of the slots were examined (store_migrate.c)
 *   4 the clear generation is not taken over (adopt.c)
 *   5 the value's checksum is not compared (region_source.c, store_migrate.c)
 *   6 last_stamp is not taken over (adopt.c)
 *   7 of two slots of one entry, both are adopted (adopt.c)
 *   8 the LRU order is that of the slots, not of the stamps (store_restore.c)
 *  11 an active clear is not saved (store_clear.c)
 *  12 an active clear is not resumed (adopt.c)
 *  13 a clear is not recorded for the snapshot (snapshot_clears.c)
 *  14 a clear is acknowledged before its record is written (snapshot_clears.c)
 *  15 leases are not recorded (leases_table.c)
 *  16 the clears that make puts stale are not taken over (clear_log.c)
 *  17 nor are those that are newer than the snapshot (snapshot_restore.c)
 *  18 records of clears that began while a snapshot was written go with it (snapshot_file.c)
 *  19 a region is stored by the service manager after it has entries (survival.c)
 *  20 a manifest is not committed (namespace.c)
 *  21 the counters are not in the catalog (dispatch.c)
 *  22 earlier daemons' boot ids are forgotten (catalog.c)
 *  23 an entry names its copy before the copy is complete (heap.c)
 *  24 slots change while a snapshot walks over them (snapshot_write.c)
 *  25 the latest deletes are not taken over (delete_log.c) */
#ifndef FC_CATALOG_MUTANT
#define FC_CATALOG_MUTANT 0
#endif

#define CATALOG_MAGIC UINT64_C(0x31474f4c41544143) /* "CATALOG1", little-endian */
/* Another layout of any element needs another number. A daemon adopts only its own layout, and
 * reads the snapshot otherwise. */
#ifndef CATALOG_LAYOUT /* tests of upgrades build a daemon with another one */
#define CATALOG_LAYOUT 1u
#endif
#define CATALOG_MEMFD "fcached-catalog"
#define CATALOG_ALIGN 65536u /* of areas; a multiple of every page size */
#define CATALOG_BOOTS_MAX 64u
#define CATALOG_REGIONS_MAX 8u
#define CATALOG_SEGMENTS_MAX 64u
#define CATALOG_CHUNK_BYTES SLOTS_CHUNK_BYTES
#define CATALOG_FRONT_BYTES 65536u /* in front of `base`, as in front of a region */
/* Numbers of slots have 32 bits, and a chunk has at least 128 of them. A catalog reserves addresses
 * for so many chunks. */
#ifndef CATALOG_CHUNKS_MAX /* a simulation with thousands of stores has fewer */
#define CATALOG_CHUNKS_MAX (1u << 25)
#endif

enum catalog_area {
  CATALOG_STORE,      /* one struct store_saved */
  CATALOG_TOTALS,     /* one struct totals */
  CATALOG_NAMESPACES, /* struct namespace */
  CATALOG_MANIFESTS,  /* bytes; at the index of the namespace */
  CATALOG_LEASES,     /* struct lease_record */
  CATALOG_DIRECTORY,  /* a word for each chunk: where it is (heap_chunks.c) */
  CATALOG_CHUNKS,     /* chunks of entries, at the index of the chunk's number */
  CATALOG_AREAS
};

/* The first areas, up to the leases: the bytes of an element, and their number. */
struct catalog_sizes {
  struct {
    uint64_t element_bytes, count;
  } areas[CATALOG_DIRECTORY];
};

/* One region of the cache: its files, by which the next daemon recognises the descriptors that it
 * was given. */
struct catalog_region {
  uint64_t boot_id;     /* of the daemon that made it; 0: unused. The last store */
  uint64_t index_inode; /* of the file with header and buckets */
  uint64_t size;        /* all bytes */
  uint64_t arena_offset, arena_size, n_buckets;
  uint64_t segment_bytes, n_segments;            /* the arena's files; the last may be shorter */
  uint64_t segment_inodes[CATALOG_SEGMENTS_MAX]; /* 0: released */
};

struct catalog_header {
  uint64_t magic;
  uint32_t layout;
  uint32_t header_bytes; /* sizeof(struct catalog_header) */
  uint64_t cache_id;     /* random, for the life of the cache; never 0 */
  struct {
    uint64_t offset, element_bytes, count;
  } areas[CATALOG_AREAS];
  uint64_t n_boots;                  /* at least 1 while a daemon serves */
  uint64_t boots[CATALOG_BOOTS_MAX]; /* boot ids of the daemons of this cache, newest last */
  uint64_t current;                  /* index of the newest region in `regions` */
  uint64_t chunks_end;               /* no chunk has this number or a higher one */
  struct catalog_region regions[CATALOG_REGIONS_MAX];
};

struct catalog {
  /* read by all */
  struct catalog_header *header; /* NULL: not open */
  int fd;                        /* owned; -1: private memory, which no daemon can adopt */
  uint8_t *base;
  /* private to catalog.c */
  uint64_t size;                     /* of the file */
  uint64_t reserved_bytes;           /* addresses, from `base` on */
  uint64_t committed[CATALOG_AREAS]; /* bytes from the area's start on that have memory */
};

/* Makes a catalog for up to `max_chunks` chunks of entries. If `shared`, it is a memory file; where
 * the system has none, or `shared` is false, it is private and fd is -1. Takes a random cache id.
 * Returns 0, or FC_ENOMEM with *error. */
int catalog_create(struct catalog *catalog, const struct catalog_sizes *sizes, uint64_t max_chunks,
                   bool shared, struct error_text *error);

/* Maps the catalog of an earlier daemon, whose descriptor it then owns. Checks every field of the
 * header. Returns 0, FC_ENOMEM, or FC_EREFUSED; then *why names the failed check with both values,
 * and the descriptor remains the caller's. */
int catalog_open(struct catalog *catalog, int fd, const struct catalog_sizes *sizes,
                 uint64_t max_chunks, struct error_text *why);

/* Unmaps and closes it. The memory remains while another process, or the service manager, has the
 * descriptor. Idempotent. */
void catalog_deinit(struct catalog *catalog);

/* Makes room for `max_chunks` chunks. Never shrinks. Returns 0 or FC_ENOMEM. */
int catalog_grow(struct catalog *catalog, uint64_t max_chunks);

/* Returns the address of an element, which may have no memory yet. */
static inline void *catalog_at(const struct catalog *catalog, enum catalog_area area,
                               uint64_t index) {
  return catalog->base + catalog->header->areas[area].offset +
         index * catalog->header->areas[area].element_bytes;
}
/* Returns the room behind the element of CATALOG_STORE, up to the next area. It has memory, and is
 * zero until a daemon uses it. A daemon of an earlier version leaves it alone. */
static inline void *catalog_store_rest(const struct catalog *catalog) {
  return (uint8_t *)catalog_at(catalog, CATALOG_STORE, 0) +
         catalog->header->areas[CATALOG_STORE].element_bytes;
}
static inline uint64_t catalog_count(const struct catalog *catalog, enum catalog_area area) {
  return catalog->header->areas[area].count;
}

/* Ensures that the elements 0 to count - 1 have memory. For areas that are used from their start.
 * Returns false if there is none; an access would then raise SIGBUS. */
bool catalog_commit(struct catalog *catalog, enum catalog_area area, uint64_t count);
/* Does so for `bytes` bytes of one element. */
bool catalog_commit_one(struct catalog *catalog, enum catalog_area area, uint64_t index,
                        uint64_t bytes);
/* Gives the memory of an element back, as far as it is whole pages. Its content is lost. */
void catalog_release(struct catalog *catalog, enum catalog_area area, uint64_t index);

/* Returns the bytes that all daemons' catalogs have in memory besides chunks, manifests, leases and
 * namespaces: header, spare chunk, and the two single elements. */
uint64_t catalog_fixed_bytes(const struct catalog_sizes *sizes);

/* Returns a chunk of memory for the move of a chunk (heap_chunks.c). */
void *catalog_spare_chunk(const struct catalog *catalog);

/* ---- boots ---- */

/* Adds the boot id (not 0) of this daemon, unless it is the newest one already. Forgets the oldest
 * if there are too many. */
void catalog_add_boot(struct catalog *catalog, uint64_t boot_id);
bool catalog_knows_boot(const struct catalog *catalog, uint64_t boot_id);

/* ---- stores that validate or invalidate ---- */

/* Release: all earlier stores of this thread come first, in the compiler's order as well. A kill
 * stops the process between two instructions, and memory keeps what was stored. */
static inline void catalog_commit_u64(uint64_t *word, uint64_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
static inline void catalog_commit_u32(uint32_t *word, uint32_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
/* Makes what follows come after an invalidating store. For the compiler alone: the processor keeps
 * the order of the program for whoever reads the memory after the process has ended. */
static inline void catalog_barrier(void) {
  atomic_signal_fence(memory_order_seq_cst);
}

#endif
