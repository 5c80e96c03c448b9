/* Ports: the mailboxes between threads. */
#include "base/alloc.h"
#include "engine/parts.h"
#include "test.h"

static size_t drain(tk_port *port, uint8_t types[8]) {
  size_t count = 0;
  for (tk_message *m = tk_port_drain(port), *next; m; m = next) {
    next = m->next;
    if (count < 8) types[count] = m->type;
    count++;
    tk_message_free(m);
  }
  return count;
}

static void push(tk_port *port, uint8_t type) {
  tk_message *message = tk_calloc(1, sizeof *message);
  message->type = type;
  tk_port_push(port, message);
}

TEST(a_reader_that_does_not_come_finds_one_message_of_the_log_however_often_it_moved) {
  tk_port *port = tk_port_new(NULL, NULL);
  uint8_t types[8];
  for (int i = 0; i < 1000; i++) tk_port_push_log(port);
  CHECK_EQ_INT(drain(port, types), 1);
  CHECK_EQ_INT(types[0], TK_MSG_LOG);
  tk_port_free(port);
}

TEST(the_log_is_told_again_after_a_look_and_behind_another_message) {
  tk_port *port = tk_port_new(NULL, NULL);
  uint8_t types[8];
  tk_port_push_log(port);
  CHECK_EQ_INT(drain(port, types), 1);
  tk_port_push_log(port);
  push(port, TK_MSG_IDLE);
  tk_port_push_log(port);
  CHECK_EQ_INT(drain(port, types), 3);
  CHECK_EQ_INT(types[0], TK_MSG_LOG);
  CHECK_EQ_INT(types[1], TK_MSG_IDLE);
  CHECK_EQ_INT(types[2], TK_MSG_LOG);
  CHECK(!tk_port_wait(port, 0));
  tk_port_free(port);
}

TEST_MAIN
