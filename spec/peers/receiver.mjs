// Receives webhooks. `/codes/503/200` answers the n-th request with a webhook-id by the n-th status, the last one from then on;
// `?after=S` adds Retry-After. `GET /log` lists what came: {path, headers, body}.
import http from "node:http";

const log = [], seen = new Map();

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const url = new URL(request.url, "http://x");
    if (url.pathname === "/log") return response.end(JSON.stringify(log));
    log.push({ path: url.pathname, headers: request.headers, body: Buffer.concat(chunks).toString() });
    const key = url.pathname + request.headers["webhook-id"], count = seen.get(key) ?? 0;
    const codes = url.pathname.startsWith("/codes/") ? url.pathname.split("/").slice(2) : ["204"];
    seen.set(key, count + 1);
    if (url.searchParams.has("after")) response.setHeader("Retry-After", url.searchParams.get("after"));
    response.statusCode = Number(codes[Math.min(count, codes.length - 1)]);
    if (response.statusCode >= 300 && response.statusCode < 400) response.setHeader("Location", "/moved");
    response.end();
  });
});

server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })));
