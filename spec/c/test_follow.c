/* Following the log over several processes: engines by hand over one store in memory. */
#include "base/alloc.h"
#include "engine/engine.h"
#include "test.h"

static tk_engine *open_over(tk_store *store) {
  tk_engine *engine = NULL;
  tk_err err;
  tk_engine_options options = {.manual = true, .seed = 1, .shared = store};
  if (tk_engine_open("memory:", &options, &engine, &err)) fprintf(stderr, "%s\n", err.message);
  return engine;
}

static uint32_t define(tk_engine *engine) {
  tk_graph_step step = {.name = tk_slice_str("a"), .flags = TK_GRAPH_RETRYABLE, .retry = {.limit = 1, .lost_limit = 1}};
  tk_graph graph = {.ns = tk_slice_str("t"), .name = tk_slice_str("t"), .version = tk_slice_str("1.0.0"),
                    .queue = tk_slice_str("default"), .step_count = 1, .steps = &step}, *built;
  tk_err err;
  if (tk_graph_build(&graph, &built, &err)) return 0;
  tk_buf bytes = {0};
  tk_graph_encode(built, &bytes);
  tk_port *port = tk_port_new(NULL, NULL);
  tk_request *r = tk_request_new(TK_REQ_DEFINE, 0);
  r->definition = (tk_definition){.hash = {1}, .ns = graph.ns, .name = graph.name, .version = graph.version,
                                  .graph = tk_buf_slice(&bytes), .json = tk_slice_str("{}")};
  r->reply_to = port;
  tk_engine_post(engine, r, false);
  tk_engine_step(engine);
  r = (tk_request *)tk_port_drain(port);
  uint32_t number = r ? r->number : 0;
  tk_request_free(r);
  tk_port_free(port);
  tk_buf_free(&bytes);
  tk_graph_free(built);
  return number;
}

static void submit(tk_engine *engine, uint32_t definition) {
  tk_request *r = tk_request_new(TK_REQ_EVENTS, 1);
  tk_submission *s = TK_ARENA_NEW(&r->arena, tk_submission);
  s->definition = definition;
  s->queue = s->info.queue = tk_slice_str("default");
  s->info.context = tk_slice_str("{}");
  r->events[0].type = TK_EV_SUBMIT;
  r->events[0].submission = s;
  tk_engine_post(engine, r, false);
  tk_engine_step(engine);
}

static bool told(tk_port *port) {
  bool any = false;
  for (tk_message *m = tk_port_drain(port), *next; m; m = next) {
    next = m->next;
    any = any || m->type == TK_MSG_LOG;
    tk_message_free(m);
  }
  return any;
}

TEST(a_follower_is_told_of_what_another_process_committed_also_when_a_turn_of_its_own_saw_it_first) {
  tk_store *store;
  tk_err err;
  REQUIRE(tk_store_open("memory:", &(tk_store_options){0}, &store, &err) == TK_OK);
  tk_engine *ours = open_over(store), *theirs = open_over(store);
  REQUIRE(ours && theirs);
  uint32_t definition = define(theirs);
  tk_port *port = tk_port_new(NULL, NULL);
  CHECK(tk_engine_follow(ours, port, &err) == TK_OK);
  tk_engine_nudge(ours);
  tk_engine_step(ours);
  told(port);
  tk_engine_nudge(ours);
  tk_engine_step(ours);
  CHECK(!told(port));   /* nothing happened */
  submit(theirs, definition);
  CHECK(!told(port));
  tk_engine_nudge(ours);
  tk_engine_step(ours);
  CHECK(told(port));
  tk_engine_unfollow(ours, port);
  tk_port_free(port);
  tk_engine_close(ours);
  tk_engine_close(theirs);
  tk_store_close(store);
}

TEST_MAIN
