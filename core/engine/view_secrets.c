/* What is known of secrets: names and times as JSON, one sealed text. */
#include "base/hash.h"
#include "engine/view_read.h"

static bool put_secret(void *context, const tk_secret *secret) {
  tk_json_writer *w = context;
  char id[2 * sizeof secret->key_id + 1];
  tk_hex(secret->key_id, sizeof secret->key_id, id);
  tk_json_object(w);
  tk_json_key(w, "name");
  tk_json_put_str(w, secret->name);
  tk_json_key(w, "key");
  tk_json_put_cstr(w, id);
  tk_json_key(w, "created_at");
  tk_json_put_time(w, secret->created_at_us);
  tk_json_key(w, "changed_at");
  tk_json_put_time(w, secret->changed_at_us);
  tk_json_object_end(w);
  return true;
}

int tk_view_secrets(tk_engine *engine, tk_buf *out, tk_err *err) {
  tk_json_writer w = tk_json_to(out);
  tk_snap *snap;
  int code = tk_snap_open(tk_engine_store(engine), &snap, err);
  if (code) return code;
  tk_json_array(&w);
  code = tk_snap_each_secret(snap, put_secret, &w, err);
  tk_json_array_end(&w);
  tk_snap_close(snap);
  return code;
}

int tk_view_secret(tk_engine *engine, tk_slice name, uint8_t key_id[8], tk_buf *out, tk_err *err) {
  tk_secret secret;
  tk_snap *snap;
  int code = tk_snap_open(tk_engine_store(engine), &snap, err);
  if (code) return code;
  code = tk_snap_secret(snap, name, &secret, err);
  if (!code) {
    memcpy(key_id, secret.key_id, sizeof secret.key_id);
    tk_buf_append(out, secret.sealed.data, secret.sealed.size);
  }
  tk_snap_close(snap);
  return code;
}
