#include "base/map.h"

#include <string.h>

#include "base/alloc.h"
#include "base/err.h"

#define MAP_CAPACITY_FIRST 16

/* A removed slot keeps probe sequences together; `used` counts these too, `count` does not. */
static char tombstone_place;
#define TOMBSTONE ((void *)&tombstone_place)

/* splitmix64's finisher: keys are sequences and ids, whose low bits alone would cluster. */
static inline size_t hash_key(uint64_t key) {
  key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9u;
  key = (key ^ (key >> 27)) * 0x94D049BB133111EBu;
  return (size_t)(key ^ (key >> 31));
}

static tk_map_slot *find(const tk_map *map, uint64_t key) {
  if (!map->capacity) return NULL;
  size_t mask = map->capacity - 1;
  for (size_t i = hash_key(key) & mask;; i = (i + 1) & mask) {
    tk_map_slot *slot = &map->slots[i];
    if (!slot->value) return NULL;
    if (slot->key == key && slot->value != TOMBSTONE) return slot;
  }
}

static void insert_new(tk_map *map, uint64_t key, void *value) {
  size_t mask = map->capacity - 1;
  size_t i = hash_key(key) & mask;
  while (map->slots[i].value && map->slots[i].value != TOMBSTONE) i = (i + 1) & mask;
  if (!map->slots[i].value) map->used++;
  map->slots[i] = (tk_map_slot){key, value};
  map->count++;
}

/* Doubles when the entries need it; when tombstones fill the table, the same size is enough. */
static void rehash(tk_map *map) {
  tk_map old = *map;
  size_t capacity = old.capacity ? old.capacity : MAP_CAPACITY_FIRST;
  if (old.count >= capacity / 2) capacity *= 2;
  *map = (tk_map){tk_calloc(capacity, sizeof *map->slots), 0, 0, capacity};
  for (size_t i = 0; i < old.capacity; i++) {
    void *value = old.slots[i].value;
    if (value && value != TOMBSTONE) insert_new(map, old.slots[i].key, value);
  }
  tk_free(old.slots);
}

void *tk_map_get(const tk_map *map, uint64_t key) {
  const tk_map_slot *slot = find(map, key);
  return slot ? slot->value : NULL;
}

void tk_map_put(tk_map *map, uint64_t key, void *value) {
  TK_ASSERT(value != NULL);
  tk_map_slot *slot = find(map, key);
  if (slot) {
    slot->value = value;
    return;
  }
  if ((map->used + 1) * 4 > map->capacity * 3) rehash(map);
  insert_new(map, key, value);
}

void *tk_map_remove(tk_map *map, uint64_t key) {
  tk_map_slot *slot = find(map, key);
  if (!slot) return NULL;
  void *value = slot->value;
  size_t next = ((size_t)(slot - map->slots) + 1) & (map->capacity - 1);
  if (map->slots[next].value) {
    slot->value = TOMBSTONE;
  } else { /* the end of its probe sequence: nothing behind it needs a bridge */
    slot->value = NULL;
    map->used--;
  }
  map->count--;
  return value;
}

void tk_map_clear(tk_map *map) {
  if (map->slots) memset(map->slots, 0, map->capacity * sizeof *map->slots);
  map->count = map->used = 0;
}

void tk_map_free(tk_map *map) {
  tk_free(map->slots);
  *map = (tk_map){0};
}

bool tk_map_next(const tk_map *map, size_t *cursor, uint64_t *key, void **value) {
  while (*cursor < map->capacity) {
    const tk_map_slot *slot = &map->slots[(*cursor)++];
    if (!slot->value || slot->value == TOMBSTONE) continue;
    if (key) *key = slot->key;
    if (value) *value = slot->value;
    return true;
  }
  return false;
}
