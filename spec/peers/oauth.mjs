// An authorization server and an API behind it, with faults, for tests. Prints {"http": port} as one line, then serves until it is ended.
// Tokens look like at-1-CANARY, refresh tokens like rt-1-CANARY; a refresh token serves once, and its second use ends the family.
import http from "node:http";
import process from "node:process";

const canary = process.argv[2] ?? "x";
const set = { expires_in: 3600, delay: 0, kill: 0, deny: "", description: "" };
const seen = { token: 0, api: 0, refused: 0, revoked: 0, sent: [] };
const live = new Set();
let refresh = null, serial = 0, used = new Set(), codes = new Map(), polls = 0;

function read(request) {
  return new Promise((resolve) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => resolve(new URLSearchParams(Buffer.concat(chunks).toString("utf8"))));
  });
}

function json(response, status, value) {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(value));
}

const no = (error, description = set.description) => [400, { error, ...(description ? { error_description: description } : {}) }];

function grant(form) {
  const kind = form.get("grant_type");
  if (set.deny) return no(set.deny);
  if (kind === "refresh_token") {
    const given = form.get("refresh_token");
    if (used.has(given)) refresh = null;
    if (refresh !== null && given !== refresh && !given.startsWith("first-")) return no("invalid_grant", "not the newest");
    if (used.has(given)) return no("invalid_grant", "used twice");
    used.add(given);
  } else if (kind === "authorization_code") {
    if (!codes.has(form.get("code")) || !form.get("code_verifier")) return no("invalid_grant", "no such code");
  } else if (kind.endsWith(":device_code") && ++polls < 2) return no("authorization_pending");
  serial++;
  const token = `at-${serial}-${canary}`;
  live.clear();
  live.add(token);
  const answer = { access_token: token, token_type: "Bearer", expires_in: set.expires_in };
  if (kind !== "client_credentials") answer.refresh_token = refresh = `rt-${serial}-${canary}`;
  return [200, answer];
}

const routes = {
  token: async (request, response) => {
    seen.token++;
    const form = await read(request);
    seen.sent.push(form.get("refresh_token") ?? form.get("grant_type"));
    const [status, answer] = grant(form);
    setTimeout(() => json(response, status, answer), set.delay);
  },
  device: (request, response) => json(response, 200, { device_code: `dc-${canary}`, user_code: "ABCD-EFGH", verification_uri: "https://x/d",
    expires_in: 60, interval: 0.05 }),
  revoke: async (request, response) => {
    seen.revoked++;
    live.delete((await read(request)).get("token"));
    response.end();
  },
  api: (request, response) => {
    seen.api++;
    if (set.kill) return process.kill(set.kill, "SIGKILL");
    const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    if (live.has(token)) return json(response, 200, { token: token.split("-")[1] });
    seen.refused++;
    json(response, 401, { error: "invalid_token" });
  },
  // Controls of the test.
  set: (request, response, url) => {
    for (const [name, value] of url.searchParams) set[name] = /^\d+$/.test(value) ? Number(value) : value;
    json(response, 200, set);
  },
  code: (request, response, url) => {
    codes.set(url.searchParams.get("code"), true);
    json(response, 200, {});
  },
  forget: (request, response) => {
    live.clear();
    json(response, 200, {});
  },
  seen: (request, response) => json(response, 200, seen),
};

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const route = routes[url.pathname.split("/")[1]];
  if (!route) return json(response, 404, {});
  await route(request, response, url);
});
server.keepAliveTimeout = 60000;
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ http: server.address().port })));
