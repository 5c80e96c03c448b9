// The services that the examples call, in one program on loopback: node's own http, no packages. Prints its port; ends by
// POST /quit, or after a minute.
import http from "node:http";

const made = new Map(); // Idempotency-Key -> what was made with it
const counts = { reservations: 0, payments: 0, shipments: 0, busy: 0, lost: 0, asked: 0 };
const blobs = new Map();
let quotes = "down";

function answer(response, status, value, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}

// Does something once for each key, and says the same again to who asks again.
function once(request, kind, value) {
  const key = request.headers["idempotency-key"];
  if (!made.has(key)) made.set(key, { id: `${kind}-${++counts[kind]}`, ...value });
  return made.get(key);
}

const customers = Array.from({ length: 7 }, (_, i) => ({ id: i + 1, name: `customer ${i + 1}` }));

const routes = {
  // Busy for the first one who asks.
  "POST /reservations": (request, response, body) => {
    if (counts.busy++ === 0) return answer(response, 429, { error: "busy" }, { "retry-after": "0.05" });
    answer(response, 201, once(request, "reservations", { sku: body.sku }));
  },
  // The first payment is made, and its answer is lost on the way back.
  "POST /payments": (request, response, body) => {
    const payment = once(request, "payments", { amount: body.amount });
    if (counts.lost++ === 0) return answer(response, 502, { error: "bad gateway" });
    answer(response, 201, payment);
  },
  "POST /shipments": (request, response, body) => answer(response, 201, once(request, "shipments", { to: body.to })),
  "GET /counts": (request, response) => answer(response, 200, counts),
  "GET /quote": (request, response) => {
    counts.asked++;
    if (quotes === "down") answer(response, 503, { error: "down" });
    else answer(response, 200, { price: 42 });
  },
  "POST /repair": (request, response) => {
    quotes = "up";
    answer(response, 200, {});
  },
  // Pages of three by cursor; the second customer's orders cannot be read.
  "POST /graphql": (request, response, body) => {
    const variables = body.variables ?? {};
    if (variables.id !== undefined) {
      const data = { customer: { name: customers[variables.id - 1].name, orders: variables.id === 2 ? null : variables.id * 10 } };
      const errors = [{ message: "orders are locked", path: ["customer", "orders"], extensions: { code: "LOCKED" } }];
      return answer(response, 200, variables.id === 2 ? { data, errors } : { data });
    }
    const from = Number(variables.after ?? 0);
    const nodes = customers.slice(from, from + 3);
    const endCursor = String(from + nodes.length);
    answer(response, 200, { data: { customers: { nodes, pageInfo: { hasNextPage: from + 3 < customers.length, endCursor } } } });
  },
  "POST /import": (request, response, body) => {
    if (!/^[^@]+@[^@]+$/.test(body.email)) return answer(response, 422, { error: `no address: ${body.email}` });
    answer(response, 201, once(request, "shipments", { email: body.email }));
  },
};

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const bytes = Buffer.concat(chunks);
    const [, first, id] = request.url.split("/");
    if (first === "quit") {
      answer(response, 200, {});
      return setImmediate(() => process.exit(0));
    }
    if (first === "blobs" && request.method === "PUT") {
      blobs.set(id, bytes);
      return answer(response, 201, { size: bytes.length });
    }
    if (first === "blobs") return response.end(blobs.get(id));
    const route = routes[`${request.method} ${request.url}`];
    if (!route) return answer(response, 404, { error: "no such route" });
    route(request, response, bytes.length ? JSON.parse(bytes) : {});
  });
});
setTimeout(() => process.exit(1), 60000).unref();
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
