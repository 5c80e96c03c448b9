// A REST server with the faults of the real world, for tests. Prints {"http": port, "https": port, "ca": PEM} as one line, then serves until it
// is ended. https only where openssl made a certificate: `node rest.mjs [DIR with ca.pem cert.pem key.pem]`.
import http from "node:http";
import http2 from "node:http2";
import fs from "node:fs";
import zlib from "node:zlib";
import process from "node:process";

const seen = { requests: 0, sockets: 0, keys: new Map() };

function read(request) {
  return new Promise((resolve) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
  });
}

function json(response, status, value, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}

const routes = {
  // What came, as it came.
  echo: async (request, response, url) => {
    json(response, 200, { method: request.method, path: url.pathname, query: url.search, headers: request.headers, body: await read(request),
      version: request.httpVersion });
  },
  status: (request, response, url) => json(response, Number(url.pathname.split("/")[2]), { status: url.pathname }),
  slow: (request, response, url) => setTimeout(() => json(response, 200, { slow: true }), Number(url.searchParams.get("ms"))),
  silent: () => {},
  // Busy until it was asked often enough: once in seconds, once as a date.
  busy: (request, response, url) => {
    const key = url.searchParams.get("key");
    const count = (seen.keys.get(key) ?? 0) + 1;
    seen.keys.set(key, count);
    const after = url.searchParams.get("form") === "date" ? new Date(Date.now() + 2000).toUTCString() : "1";
    if (count < 3) json(response, Number(url.searchParams.get("status") ?? 429), { busy: count }, { "retry-after": after });
    else json(response, 200, { count });
  },
  cut: (request, response) => {
    response.writeHead(200, { "content-length": "1000" });
    response.write("half");
    setTimeout(() => response.destroy(), 10);
  },
  reset: (request) => request.socket.destroy(),
  huge: (request, response, url) => {
    let left = Number(url.searchParams.get("bytes"));
    const chunk = Buffer.alloc(65536, "x");
    response.writeHead(200, { "content-type": "application/octet-stream" });
    const more = () => {
      while (left > 0) {
        const size = Math.min(left, chunk.length);
        left -= size;
        if (!response.write(chunk.subarray(0, size))) return response.once("drain", more);
      }
      response.end();
    };
    more();
  },
  gzip: (request, response) => {
    response.writeHead(200, { "content-encoding": "gzip", "content-type": "application/json" });
    response.end(zlib.gzipSync(JSON.stringify({ packed: "x".repeat(1000) })));
  },
  badgzip: (request, response) => {
    response.writeHead(200, { "content-encoding": "gzip" });
    response.end("this is not gzip");
  },
  headers: (request, response) => {
    response.setHeader("X-Mixed-Case", "Yes");
    response.setHeader("Set-Cookie", ["a=1", "b=2"]);
    response.end("ok");
  },
  redirect: (request, response, url) => {
    response.writeHead(Number(url.searchParams.get("status") ?? 302), { location: url.searchParams.get("to") });
    response.end();
  },
  loop: (request, response) => {
    response.writeHead(302, { location: "/loop" });
    response.end();
  },
  // Pages of seven items: by Link header, cursor or number.
  pages: (request, response, url) => {
    const page = Number(url.searchParams.get("page") ?? url.searchParams.get("cursor") ?? 1);
    const items = page <= 3 ? [1, 2, 3].slice(0, page === 3 ? 1 : 3).map((n) => ({ id: (page - 1) * 3 + n })) : [];
    const next = page < 3 ? page + 1 : null;
    json(response, 200, { data: { items }, meta: { next: next === null ? null : String(next) } },
      next ? { link: `<${url.pathname}?page=${next}>; rel="next", </pages?page=3>; rel="last"` } : {});
  },
  stats: (request, response) => json(response, 200, { requests: seen.requests, sockets: seen.sockets }),
};

async function serve(request, response) {
  seen.requests++;
  const url = new URL(request.url, "http://localhost");
  const route = routes[url.pathname.split("/")[1]];
  if (!route) return json(response, 404, { error: "no such route", path: url.pathname });
  await route(request, response, url);
}

const plain = http.createServer(serve);
plain.keepAliveTimeout = 60000;
plain.on("connection", () => seen.sockets++);
plain.on("clientError", (error, socket) => socket.destroy());
const ready = { pid: process.pid };
plain.listen(0, "127.0.0.1", () => {
  ready.http = plain.address().port;
  const dir = process.argv[2];
  if (!dir) return console.log(JSON.stringify(ready));
  const secure = http2.createSecureServer({ key: fs.readFileSync(`${dir}/key.pem`), cert: fs.readFileSync(`${dir}/cert.pem`), allowHTTP1: true }, serve);
  secure.on("sessionError", () => {});
  secure.listen(0, "127.0.0.1", () => {
    ready.https = secure.address().port;
    console.log(JSON.stringify(ready));
  });
});
