/* Hash map from uint64 keys to pointers; open addressing, grows at 3/4. Owns its table, not what the values point to.
 * Not thread-safe. Zero-initialise; tk_map_free at the end. */
#ifndef TK_BASE_MAP_H
#define TK_BASE_MAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tk_map_slot { uint64_t key; void *value; } tk_map_slot;  /* value NULL: free; tombstones are internal */
typedef struct tk_map { tk_map_slot *slots; size_t count, used, capacity; } tk_map;

void *tk_map_get(const tk_map *map, uint64_t key);            /* NULL when absent */
void tk_map_put(tk_map *map, uint64_t key, void *value);      /* value not NULL; replaces */
void *tk_map_remove(tk_map *map, uint64_t key);               /* the value removed, or NULL */
void tk_map_clear(tk_map *map);                               /* keeps the table */
void tk_map_free(tk_map *map);
/* Iterates: start with *cursor = 0; false at the end. Do not put while iterating. */
bool tk_map_next(const tk_map *map, size_t *cursor, uint64_t *key, void **value);

#endif
