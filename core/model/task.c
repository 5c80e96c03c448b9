#include "model/task.h"

#include <stdio.h>

void tk_task_prepare(tk_task *task, tk_arena *arena) {
  task->arena = arena;
  task->chunk_count = tk_chunk_count_for(task->graph->step_count);
  task->chunks = TK_ARENA_ARRAY(arena, tk_chunk *, task->chunk_count);
}

static void grow_pages(tk_task *task, uint32_t count) {
  tk_chunk_page **grown = TK_ARENA_ARRAY(task->arena, tk_chunk_page *, count);
  if (task->page_count) memcpy(grown, task->pages, task->page_count * sizeof *grown);
  task->pages = grown;
  task->page_count = count;
}

tk_chunk **tk_task_far_chunk(tk_task *task, uint32_t c) {
  uint32_t far = c - task->chunk_count, page = far / TK_CHUNK_PAGE;
  if (page >= task->page_count) {
    uint32_t known = tk_chunk_count_for(tk_task_count(task)) / TK_CHUNK_PAGE + 1;
    grow_pages(task, page < known ? known : page + 1);
  }
  if (!task->pages[page]) task->pages[page] = TK_ARENA_NEW(task->arena, tk_chunk_page);
  return &task->pages[page]->chunks[far % TK_CHUNK_PAGE];
}

/* ---- Names ---- */

uint32_t tk_task_map_of(tk_task *task, uint32_t index) {
  for (uint32_t i = 0; i < task->graph->step_count; i++) {
    if (!tk_task_is_map(task, i)) continue;
    const tk_fan *fan = tk_task_step(task, i)->fan;
    if (fan && index >= fan->first && index - fan->first < fan->count) return i;
  }
  return TK_NO_STEP;
}

static tk_slice indexed_name(tk_slice name, uint32_t ordinal, char *room) {
  return tk_slice_of(room, (size_t)snprintf(room, TK_STEP_NAME_ROOM, "%.*s[%u]", (int)name.size, name.data, ordinal));
}

tk_slice tk_task_step_name(tk_task *task, uint32_t index, char room[TK_STEP_NAME_ROOM]) {
  if (!tk_task_is_instance(task, index)) return task->graph->steps[index].name;
  const tk_step *step = tk_task_step(task, index);
  if (step->role == TK_ROLE_COMPENSATION) {
    tk_slice name = task->graph->steps[step->template_].name;
    return tk_slice_of(room, (size_t)snprintf(room, TK_STEP_NAME_ROOM, "%.*s:compensate", (int)name.size, name.data));
  }
  if (step->role == TK_ROLE_NOTIFICATION) {
    tk_slice name = task->graph->steps[step->template_].name;
    return tk_slice_of(room, (size_t)snprintf(room, TK_STEP_NAME_ROOM, "%.*s:notify[%u]", (int)name.size, name.data, step->ordinal));
  }
  if (step->role) return indexed_name(task->graph->steps[step->template_].name, step->ordinal, room);
  uint32_t map = tk_task_map_of(task, index);
  if (map == TK_NO_STEP) return tk_slice_of(NULL, 0);
  return indexed_name(task->graph->steps[map].name, index - tk_task_step(task, map)->fan->first + 1, room);
}

/* `each[3]`: the name in front of the bracket and the number in it; false: it is not of this form. */
static bool split_name(tk_slice name, tk_slice *base, uint32_t *ordinal) {
  const char *open = name.size ? memchr(name.data, '[', name.size) : NULL;
  if (!open || name.data[name.size - 1] != ']') return false;
  const char *at = open + 1, *end = name.data + name.size - 1;
  uint64_t number = 0;
  if (at == end || *at == '0' || end - at > 9) return false;
  for (; at < end; at++) {
    if (*at < '0' || *at > '9') return false;
    number = number * 10 + (uint64_t)(*at - '0');
  }
  *base = tk_slice_of(name.data, (size_t)(open - name.data));
  *ordinal = (uint32_t)number;
  return true;
}

/* `charge:compensate`: the instance, or -1 when there is none. */
static int64_t find_compensation(tk_task *task, tk_slice name) {
  static const char ending[] = ":compensate";
  size_t size = sizeof ending - 1;
  if (name.size <= size || memcmp(name.data + name.size - size, ending, size) != 0) return -1;
  int64_t undone = tk_graph_find(task->graph, tk_slice_of(name.data, name.size - size));
  uint32_t index = undone < 0 ? 0 : tk_task_step(task, (uint32_t)undone)->compensation;
  return index ? (int64_t)index : -1;
}

/* `accept:notify` and a number: the instance, or -1. */
static int64_t find_notification(tk_task *task, tk_slice base, uint32_t ordinal) {
  static const char ending[] = ":notify";
  size_t size = sizeof ending - 1;
  if (base.size <= size || memcmp(base.data + base.size - size, ending, size) != 0) return -1;
  int64_t approval = tk_graph_find(task->graph, tk_slice_of(base.data, base.size - size));
  for (uint32_t i = task->graph->step_count; approval >= 0 && i < tk_task_count(task); i++) {
    const tk_step *step = tk_task_step(task, i);
    if (step->role == TK_ROLE_NOTIFICATION && step->template_ == approval && step->ordinal == ordinal) return i;
  }
  return -1;
}

int64_t tk_task_find(tk_task *task, tk_slice name) {
  tk_slice base;
  uint32_t ordinal;
  if (task->compensating) {
    int64_t found = find_compensation(task, name);
    if (found >= 0) return found;
  }
  if (!split_name(name, &base, &ordinal)) return tk_graph_find(task->graph, name);
  int64_t notified = find_notification(task, base, ordinal);
  if (notified >= 0) return notified;
  int64_t map = tk_graph_find(task->graph, base);
  const tk_fan *fan = map < 0 ? NULL : tk_task_step(task, (uint32_t)map)->fan;
  if (fan) return ordinal <= fan->count ? (int64_t)fan->first + ordinal - 1 : -1;
  for (uint32_t i = task->graph->step_count; map >= 0 && task->graph->initial && i < tk_task_count(task); i++) {
    const tk_step *step = tk_task_step(task, i);
    if (step->role == TK_ROLE_VISIT && step->template_ == map && step->ordinal == ordinal) return i;
  }
  return -1;
}
