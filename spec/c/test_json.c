/* Promises of the codec between Lua values and JSON text, seen from C. */
#include "test.h"

#include <lauxlib.h>
#include <lualib.h>

#include "base/clock.h"
#include "base/json.h"
#include "bind/error.h"
#include "bind/json.h"

/* A state whose allocations fail when `left` reaches 0; below 0 they never do. */
static void *failing_alloc(void *left, void *ptr, size_t old_size, size_t new_size) {
  (void)old_size;
  if (new_size == 0) {
    free(ptr);
    return NULL;
  }
  if (*(int *)left == 0) return NULL;
  if (*(int *)left > 0) --*(int *)left;
  return realloc(ptr, new_size);
}

static lua_State *open_state(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "json", luaopen_tasker_json, 1);
  lua_settop(L, 0);
  return L;
}

/* Pushes what the Lua expression gives. */
static void push(lua_State *L, const char *expression) {
  char chunk[2048];
  snprintf(chunk, sizeof chunk, "return %s", expression);
  if (luaL_dostring(L, chunk)) {
    test_fail(__FILE__, __LINE__, lua_tostring(L, -1));
    abort();
  }
}

/* The JSON of the expression, or its error message. */
static const char *encoded(lua_State *L, const char *expression, const tk_json_options *opt) {
  static char text[70000];
  tk_buf out = {0};
  tk_err err;
  tk_buf_append_str(&out, "before");
  push(L, expression);
  int top = lua_gettop(L), rc = tk_json_encode(L, -1, &out, opt, &err);
  CHECK_EQ_INT(lua_gettop(L), top);
  CHECK(memcmp(out.data, "before", 6) == 0);
  if (rc == 0) {
    snprintf(text, sizeof text, "%.*s", (int)(out.size - 6), out.data + 6);
    CHECK_EQ_INT(tk_json_check(tk_slice_of(out.data + 6, out.size - 6), TK_JSON_DEPTH, NULL), 0);
  } else {
    CHECK_EQ_INT(rc, TK_E_INVALID);
    CHECK_EQ_INT(err.code, TK_E_INVALID);
    CHECK_EQ_INT(out.size, 6);
    CHECK_EQ_INT(tk_json_check(tk_slice_str(err.details), 2, NULL), 0);
    snprintf(text, sizeof text, "%s", err.message);
  }
  lua_pop(L, 1);
  tk_buf_free(&out);
  return text;
}

TEST(values_are_written_as_the_interface_says) {
  static const struct { const char *expression, *text; } cases[] = {
      {"nil", "null"}, {"true", "true"}, {"false", "false"}, {"0", "0"}, {"-1", "-1"},
      {"math.mininteger", "-9223372036854775808"},
      {"math.maxinteger", "9223372036854775807"}, {"1.0", "1.0"}, {"-0.0", "-0.0"}, {"0.1", "0.1"}, {"1e300", "1e+300"},
      {"''", "\"\""}, {"'a\\\"\\\\\\n\\0'", "\"a\\\"\\\\\\n\\u0000\""}, {"json.null", "null"}, {"{json.null}", "[null]"},
      {"{}", "{}"}, {"json.array{}", "[]"}, {"json.array()", "[]"}, {"{{}}", "[{}]"}, {"{1}", "[1]"},
      {"{1,2.5,'x',false}", "[1,2.5,\"x\",false]"},
      {"{a=1}", "{\"a\":1}"}, {"{['']=1}", "{\"\":1}"}, {"{a={b={c={}}}}", "{\"a\":{\"b\":{\"c\":{}}}}"},
      {"{a={1,2},b={3}}", "{\"a\":[1,2],\"b\":[3]}"}, {"{[3]=3,[2]=2,[1]=1}", "[1,2,3]"}, {"{[1.0]=1}", "[1]"},
      {"{{1,{2,{3}}},4}", "[[1,[2,[3]]],4]"}, {"setmetatable({a=1},{__index={b=2}})", "{\"a\":1}"},
      {"setmetatable({1},{__len=function() return 9 end,__pairs=error})", "[1]"}, {"json.array{1,2}", "[1,2]"}};
  lua_State *L = open_state();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) CHECK_EQ_STR(encoded(L, cases[i].expression, NULL), cases[i].text);
  lua_close(L);
}

TEST(what_cannot_be_json_is_refused_with_its_place) {
  static const struct { const char *expression, *message; } cases[] = {
      {"print", "at $: a function cannot be JSON"},
      {"coroutine.create(print)", "at $: a thread cannot be JSON"},
      {"io.stdout", "at $: a userdata cannot be JSON"},
      {"0/0", "at $: NaN cannot be JSON"},
      {"1/0", "at $: an infinite number cannot be JSON"},
      {"{-1/0}", "at $[1]: an infinite number cannot be JSON"},
      {"{a={b={1,2,print}}}", "at $.a.b[3]: a function cannot be JSON"},
      {"{items={{},{},{x=print}}}", "at $.items[3].x: a function cannot be JSON"},
      {"{['a b']={['1x']=print}}", "at $[\"a b\"][\"1x\"]: a function cannot be JSON"},
      {"{a={1,nil,3}}", "at $.a: a table with holes: [2] is nil and [3] is not"},
      {"{[5]=1}", "at $: a table with holes: [1] is nil and [5] is not"},
      {"{1,2,x=1}", "at $: a table with both string keys and integer keys"},
      {"{x=1,[7]=1}", "at $: a table with both string keys and integer keys"},
      {"{[0]=1}", "at $: a key that is neither a string nor in 1..n"},
      {"{[-1]=1}", "at $: a key that is neither a string nor in 1..n"},
      {"{1,2,[1.5]=3}", "at $: a key that is neither a string nor in 1..n"},
      {"{a={[1.5]=1}}", "at $.a: a key that is a number"},
      {"{[true]=1}", "at $: a key that is a boolean"},
      {"{[print]=1}", "at $: a key that is a function"},
      {"{[{}]=1}", "at $: a key that is a table"},
      {"{x=json.array{y=1}}", "at $.x: an array with a key that is no integer"},
      {"'a\\xff'", "at $: a string with invalid UTF-8 at its byte 2"},
      {"{a={'\\xed\\xa0\\x80'}}", "at $.a[1]: a string with invalid UTF-8 at its byte 1"},
      {"{a={['b\\xff']=1}}", "at $.a: a key with invalid UTF-8 at its byte 2"},
      {"(function() local t = {} t.a = {t} return t end)()", "at $.a[1]: a cycle: the table is the one at $"},
      {"(function() local t = {b={}} t.b.c = t.b return t end)()", "at $.b.c: a cycle: the table is the one at $.b"}};
  lua_State *L = open_state();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    CHECK_EQ_STR(encoded(L, cases[i].expression, NULL), cases[i].message);
  lua_close(L);
}

TEST(a_long_path_is_cut) {
  lua_State *L = open_state();
  push(L, "(function() local t = {print} for _ = 1, 200 do t = {abcdef = t} end return t end)()");
  lua_setglobal(L, "deep");
  const char *message = encoded(L, "deep", NULL);
  CHECK(strstr(message, ".abcdef...: a function cannot be JSON") != NULL);
  CHECK(strlen(message) < 500);
  lua_close(L);
}

TEST(a_table_that_is_used_twice_is_written_twice) {
  lua_State *L = open_state();
  CHECK_EQ_STR(encoded(L, "(function() local t = {1} return {a=t,b={t,t}} end)()", NULL), "{\"a\":[1],\"b\":[[1],[1]]}");
  lua_close(L);
}

TEST(keys_are_sorted_however_they_were_set) {
  lua_State *L = open_state();
  tk_rng rng;
  tk_rng_seed(&rng, 5);
  for (int count = 1; count < 400; count += 1 + count / 3) {
    tk_buf expected = {0};
    lua_newtable(L);
    for (int i = 0; i < count; i++) {
      char key[32];
      snprintf(key, sizeof key, "%s%d", tk_rng_next(&rng) & 1 ? "common prefix " : "", (int)(tk_rng_next(&rng) % 1000));
      lua_createtable(L, 0, 2);
      lua_pushinteger(L, i);
      lua_setfield(L, -2, i & 1 ? "n" : "number");
      lua_setfield(L, -2, key);
    }
    lua_setglobal(L, "object");
    push(L, "(function() local keys, parts = {}, {} for k in pairs(object) do keys[#keys + 1] = k end table.sort(keys) "
            "for i, k in ipairs(keys) do local f, v = next(object[k]) parts[i] = ('\"%s\":{\"%s\":%d}'):format(k, f, v) end "
            "return '{' .. table.concat(parts, ',') .. '}' end)()");
    tk_buf_append_str(&expected, lua_tostring(L, -1));
    tk_buf_u8(&expected, 0);
    CHECK_EQ_STR(encoded(L, "object", NULL), expected.data);
    lua_settop(L, 0);
    tk_buf_free(&expected);
  }
  lua_close(L);
}

TEST(canonical_json_is_that_of_rfc_8785) {
  lua_State *L = open_state();
  tk_json_options canonical = {.canonical = true};
  /* the example of section 3.2.3 */
  CHECK_EQ_STR(encoded(L, "{['\\u{20ac}']='Euro Sign',['\\r']='Carriage Return',['\\u{fb33}']='Hebrew Letter Dalet With Dagesh',"
                          "['1']='One',['\\u{1f600}']='Emoji: Grinning Face',['\\u{80}']='Control',"
                          "['\\u{f6}']='Latin Small Letter O With Diaeresis'}", &canonical),
               "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xC2\x80\":\"Control\","
               "\"\xC3\xB6\":\"Latin Small Letter O With Diaeresis\","
               "\"\xE2\x82\xAC\":\"Euro Sign\",\"\xF0\x9F\x98\x80\":\"Emoji: Grinning Face\","
               "\"\xEF\xAC\xB3\":\"Hebrew Letter Dalet With Dagesh\"}");
  /* and of section 3.2.2 */
  CHECK_EQ_STR(encoded(L, "{numbers={333333333.33333329,1e30,4.50,2e-3,0.000000000000000000000000001},"
                          "string='\\u{20ac}$\\x0f\\nA\\'B\\\"\\\\\\\\\\\"/',literals={json.null,true,false}}", &canonical),
               "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
               "\"string\":\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
  CHECK_EQ_STR(encoded(L, "{1,1.0,-0.0,9007199254740993,2^53,1e21,{b=1,a=1}}", &canonical),
               "[1,1,0,9007199254740993,9007199254740992,1e+21,{\"a\":1,\"b\":1}]");
  CHECK_EQ_STR(encoded(L, "{aa=1,a=2,['']=3}", &canonical), "{\"\":3,\"a\":2,\"aa\":1}");
  lua_close(L);
}

TEST(indentation_is_by_levels) {
  lua_State *L = open_state();
  tk_json_options indent = {.indent = 2};
  CHECK_EQ_STR(encoded(L, "{b={1,{}},a={},c=json.array{},d={z=1,y=2}}", &indent),
               "{\n  \"a\": {},\n  \"b\": [\n    1,\n    {}\n  ],\n  \"c\": [],\n"
               "  \"d\": {\n    \"y\": 2,\n    \"z\": 1\n  }\n}");
  CHECK_EQ_STR(encoded(L, "1", &indent), "1");
  lua_close(L);
}

TEST(an_empty_table_is_a_list_where_one_is_expected) {
  lua_State *L = open_state();
  tk_json_options list = {.list_expected = true};
  CHECK_EQ_STR(encoded(L, "{}", &list), "[]");
  CHECK_EQ_STR(encoded(L, "{{}}", &list), "[{}]");
  CHECK_EQ_STR(encoded(L, "{a=1}", &list), "{\"a\":1}");
  lua_close(L);
}

TEST(depth_and_size_are_bounded_exactly) {
  lua_State *L = open_state();
  tk_json_options opt = {.max_depth = 3};
  CHECK_EQ_STR(encoded(L, "{{{1}}}", &opt), "[[[1]]]");
  CHECK_EQ_STR(encoded(L, "{{{{}}}}", &opt), "at $[1][1][1]: nested deeper than 3 levels");
  opt = (tk_json_options){.max_size = 10};
  CHECK_EQ_STR(encoded(L, "{1,2,3,45}", &opt), "[1,2,3,45]");
  CHECK_EQ_STR(encoded(L, "'12345678'", &opt), "\"12345678\"");
  CHECK(strstr(encoded(L, "{1,2,3,456}", &opt), "larger than 10 bytes") != NULL);
  CHECK_EQ_STR(encoded(L, "'123456789'", &opt), "at $: larger than 10 bytes");
  CHECK_EQ_STR(encoded(L, "{('x'):rep(100)}", &opt), "at $[1]: larger than 10 bytes");
  /* Forty levels that each use the next twice would be 2^40 values. */
  opt.max_size = 60000;
  const char *message = encoded(L, "(function() local t = {1} for _ = 1, 40 do t = {t, t} end return t end)()", &opt);
  CHECK(strstr(message, "larger than 60000 bytes") != NULL);
  lua_close(L);
}

TEST(ten_thousand_levels_go_both_ways) {
  lua_State *L = open_state();
  tk_buf text = {0}, out = {0};
  tk_err err;
  for (int i = 0; i < TK_JSON_DEPTH; i++) tk_buf_append_str(&text, i % 2 ? "[" : "{\"a\":");
  tk_buf_append_str(&text, "1");
  for (int i = TK_JSON_DEPTH; i-- > 0;) tk_buf_append_str(&text, i % 2 ? "]" : "}");
  CHECK_EQ_INT(tk_json_decode(L, tk_buf_slice(&text), 0, &err), 0);
  CHECK_EQ_INT(tk_json_encode(L, -1, &out, NULL, &err), 0);
  CHECK(tk_slice_eq(tk_buf_slice(&out), tk_buf_slice(&text)));
  lua_createtable(L, 1, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 1);
  CHECK_EQ_INT(tk_json_encode(L, -1, &out, NULL, &err), TK_E_INVALID);
  CHECK(strstr(err.message, "nested deeper than 10000 levels") != NULL);
  tk_buf_clear(&text);
  for (int i = 0; i <= TK_JSON_DEPTH; i++) tk_buf_u8(&text, '[');
  CHECK_EQ_INT(tk_json_decode(L, tk_buf_slice(&text), 0, &err), TK_E_INVALID);
  CHECK(strstr(err.message, "byte 10001") && strstr(err.message, "nested deeper than 10000 levels"));
  tk_buf_free(&text);
  tk_buf_free(&out);
  lua_close(L);
}

/* Decoded and encoded again, compactly and sorted. */
static void check_round_trip(lua_State *L, const char *text, const char *expected) {
  tk_buf out = {0};
  tk_err err;
  int top = lua_gettop(L);
  size_t size = strlen(text);
  char *copy = malloc(size + 1);
  memcpy(copy, text, size);
  if (tk_json_decode(L, tk_slice_of(copy, size), 0, &err) != 0) {
    test_fail(__FILE__, __LINE__, text);
    test_fail(__FILE__, __LINE__, err.message);
  } else {
    CHECK_EQ_INT(lua_gettop(L), top + 1);
    CHECK_EQ_INT(tk_json_encode(L, -1, &out, NULL, &err), 0);
    tk_buf_u8(&out, 0);
    CHECK_EQ_STR(out.data, expected);
  }
  lua_settop(L, top);
  tk_buf_free(&out);
  free(copy);
}

TEST(texts_come_back_as_they_were) {
  static const struct { const char *text, *back; } cases[] = {
      {"null", NULL}, {"[null]", NULL}, {"{\"a\":null}", NULL}, {"[]", NULL}, {"{}", NULL}, {"[[],{}]", NULL}, {"1", NULL},
      {"1.0", NULL}, {"-0", "0"}, {"-0.0", NULL}, {"1e2", "100.0"}, {"9223372036854775807", NULL},
      {"9223372036854775808", "9223372036854776000.0"}, {"-9223372036854775808", NULL}, {"1e-400", "0.0"},
      {" { \"a\" : [ 1 , 2 ] } ", "{\"a\":[1,2]}"}, {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"},
      {"{\"b\":{\"d\":1,\"c\":2},\"a\":[{\"y\":1,\"x\":2}]}", "{\"a\":[{\"x\":2,\"y\":1}],\"b\":{\"c\":2,\"d\":1}}"},
      {"\"\\u00e4\\ud83d\\ude00\\/\"", "\"\xC3\xA4\xF0\x9F\x98\x80/\""}, {"{\"a\\nb\":1}", NULL}, {"\"\\u0000\"", NULL}};
  lua_State *L = open_state();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    check_round_trip(L, cases[i].text, cases[i].back ? cases[i].back : cases[i].text);
  lua_close(L);
}

TEST(containers_of_every_size_come_back) {
  lua_State *L = open_state();
  for (int count = 0; count < 1500; count += 1 + count / 9) {
    tk_buf array = {0}, object = {0}, doubled = {0};
    tk_buf_append_str(&array, "[");
    tk_buf_append_str(&object, "{");
    tk_buf_append_str(&doubled, "{");
    for (int i = 0; i < count; i++) {
      tk_buf_printf(&array, "%s[%d]", i ? "," : "", i);
      tk_buf_printf(&object, "%s\"%05d\":{\"n\":%d}", i ? "," : "", i, i);
      tk_buf_printf(&doubled, "%s\"%05d\":0", i ? "," : "", i);
    }
    for (int i = 0; i < count; i++) tk_buf_printf(&doubled, ",\"%05d\":{\"n\":%d}", i, i);
    tk_buf_append(&array, "]", 2);
    tk_buf_append(&object, "}", 2);
    tk_buf_append(&doubled, "}", 2);
    check_round_trip(L, array.data, array.data);
    check_round_trip(L, object.data, object.data);
    check_round_trip(L, doubled.data, object.data); /* the last of equal keys counts */
    tk_buf_free(&array);
    tk_buf_free(&object);
    tk_buf_free(&doubled);
  }
  lua_close(L);
}

TEST(long_strings_with_escapes_come_back) {
  lua_State *L = open_state();
  for (size_t size = 500; size < 20000; size = size * 2 + 3) {
    tk_buf text = {0};
    tk_buf_append_str(&text, "[\"");
    for (size_t i = 0; i < size; i++) tk_buf_append_str(&text, i % 3 ? "x" : "\\n");
    tk_buf_append(&text, "\"]", 3);
    check_round_trip(L, text.data, text.data);
    tk_buf_free(&text);
  }
  lua_close(L);
}

TEST(a_decoded_array_stays_one_when_emptied) {
  lua_State *L = open_state();
  CHECK_EQ_STR(encoded(L, "(function() local t = json.decode '[1]' table.remove(t) "
                          "return {a=t, b=json.decode '[]'} end)()", NULL),
               "{\"a\":[],\"b\":[]}");
  CHECK_EQ_STR(encoded(L, "(function() local t = json.decode '{\"a\":1}' t.a = nil return t end)()", NULL), "{}");
  lua_close(L);
}

TEST(null_is_one_value_of_the_state) {
  lua_State *L = open_state();
  tk_err err;
  CHECK_EQ_INT(tk_json_decode(L, tk_slice_str("null"), 0, &err), 0);
  tk_json_push_null(L);
  push(L, "json.null");
  CHECK(lua_rawequal(L, -1, -2) && lua_rawequal(L, -1, -3));
  CHECK(lua_touserdata(L, -1) == tk_json_null_value(L));
  CHECK_EQ_STR(luaL_tolstring(L, -1, NULL), "null");
  lua_close(L);
}

TEST(a_fresh_state_needs_no_module) {
  lua_State *L = luaL_newstate();
  tk_buf out = {0};
  tk_err err;
  CHECK(tk_json_null_value(L) == NULL && tk_json_array_marker(L) == NULL);
  lua_pushlightuserdata(L, NULL);
  CHECK_EQ_INT(tk_json_encode(L, -1, &out, NULL, &err), TK_E_INVALID);
  lua_newtable(L);
  CHECK_EQ_INT(tk_json_encode(L, -1, &out, NULL, &err), 0);
  CHECK_EQ_INT(tk_json_decode(L, tk_slice_str("[null,[]]"), 0, &err), 0);
  CHECK_EQ_INT(tk_json_encode(L, -1, &out, NULL, &err), 0);
  tk_buf_u8(&out, 0);
  CHECK_EQ_STR(out.data, "{}[null,[]]");
  tk_buf_free(&out);
  lua_close(L);
}

static int decode_under_pcall(lua_State *L) {
  tk_slice text = {.data = lua_touserdata(L, 1)};
  text.size = strlen(text.data);
  return tk_json_decode(L, text, 0, NULL) == 0;
}

TEST(running_out_of_lua_memory_loses_nothing) {
  static char text[] = "{\"a long enough key to be allocated by itself, because it is more than forty bytes\":[1,2.5,null,[],{}],"
                       "\"b\":{\"c\":[[[[[\"\\u00e4\"]]]]],\"d\":[1,2,3,4,5,6,7,8,9,10]},\"e\":null}";
  int rc = LUA_ERRMEM;
  for (int allocations = 0; rc == LUA_ERRMEM && allocations < 500; allocations++) {
    int left = -1;
    lua_State *L = lua_newstate(failing_alloc, &left);
    lua_pushcfunction(L, decode_under_pcall);
    lua_pushlightuserdata(L, text);
    left = allocations;
    rc = lua_pcall(L, 1, 1, 0);
    if (rc == LUA_OK) { /* writing needs no Lua memory at all, or refuses */
      tk_buf out = {0};
      left = 0;
      CHECK_EQ_INT(tk_json_encode(L, -1, &out, NULL, NULL), 0);
      tk_buf_free(&out);
    }
    lua_close(L);
  }
  CHECK_EQ_INT(rc, LUA_OK);
}

TEST(a_lua_stack_that_cannot_grow_is_an_error_not_a_jump) {
  int left = -1;
  lua_State *L = lua_newstate(failing_alloc, &left);
  tk_buf out = {0};
  tk_err err;
  lua_newtable(L);
  for (int i = 0; i < 500; i++) {
    lua_createtable(L, 1, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
  }
  left = 0;
  CHECK_EQ_INT(tk_json_encode(L, -1, &out, NULL, &err), TK_E_INVALID);
  CHECK(strstr(err.message, "nested deeper than") != NULL);
  CHECK_EQ_INT(out.size, 0);
  left = -1;
  CHECK_EQ_INT(tk_json_encode(L, -1, &out, NULL, &err), 0);
  tk_buf_free(&out);
  lua_close(L);
}

TEST(texts_are_refused_exactly_when_the_checker_refuses_them) {
  static const char *const seeds[] = {
      "{\"a\":[1,-2.5e3,true,false,null,\"\\u00e4\\ud83d\\ude00\"],\"b\":{\"c\":[],\"d\":{}}}", "[[[[1.25]],\"x\\n\"],0]",
      " [ 1 , { \"k\" : \"v\" } ] "};
  static const char bytes[] = "{}[]\",:\\u0123456789abcdefDd8.eE+-tnrulfs \n\x01\xC3\xA4\xFF";
  lua_State *L = open_state();
  tk_rng rng;
  tk_rng_seed(&rng, 6);
  for (int i = 0; i < 60000; i++) {
    char text[128];
    size_t size = strlen(seeds[i % 3]);
    memcpy(text, seeds[i % 3], size);
    for (uint64_t n = tk_rng_next(&rng) % 3; n-- > 0;)
      text[tk_rng_next(&rng) % size] = bytes[tk_rng_next(&rng) % (sizeof bytes - 1)];
    if (tk_rng_next(&rng) % 8 == 0) size = tk_rng_next(&rng) % size;
    tk_err checked = {0}, decoded = {0};
    int rc = tk_json_check(tk_slice_of(text, size), 4, &checked);
    CHECK_EQ_INT(tk_json_decode(L, tk_slice_of(text, size), 4, &decoded), rc);
    CHECK_EQ_STR(decoded.message, checked.message);
    CHECK_EQ_INT(lua_gettop(L), rc == 0);
    lua_settop(L, 0);
  }
  lua_close(L);
}

TEST(an_error_becomes_a_table_with_a_tostring) {
  lua_State *L = open_state();
  tk_err err;
  tk_err_set(&err, TK_E_CONFLICT, "a schedule '%s' exists", "x");
  tk_err_details(&err, "{\"name\":\"x\"}");
  CHECK_EQ_INT(tk_return_error(L, &err), 2);
  CHECK(lua_isnil(L, -2));
  CHECK_EQ_STR(luaL_tolstring(L, -1, NULL), "a schedule 'x' exists");
  lua_pop(L, 1);
  lua_setglobal(L, "err");
  push(L, "err.code .. ' ' .. err.message .. ' ' .. err.details.name");
  CHECK_EQ_STR(lua_tostring(L, -1), "conflict a schedule 'x' exists x");
  tk_err_set(&err, TK_E_IO, "no details");
  tk_push_error(L, &err);
  lua_setglobal(L, "other");
  push(L, "other.details == nil and getmetatable(err) == getmetatable(other)");
  CHECK(lua_toboolean(L, -1));
  lua_close(L);
}

TEST_MAIN
