// A GraphQL server (graphql-yoga) for tests. Prints {"http": port} as one line, then serves until it is ended.
import http from "node:http";
import { createYoga, createSchema } from "graphql-yoga";
import { GraphQLError } from "graphql";
import crypto from "node:crypto";

const items = Array.from({ length: 7 }, (_, i) => ({ id: String(i + 1) }));
let changes = 0;

const schema = createSchema({
  typeDefs: `
    type Item { id: ID! }
    type Edge { node: Item!, cursor: String! }
    type PageInfo { hasNextPage: Boolean!, endCursor: String }
    type Items { edges: [Edge!]!, nodes: [Item!]!, pageInfo: PageInfo! }
    type Shop { items(first: Int!, after: String): Items! }
    type Query { hello(name: String): String!, shop: Shop!, partly: Partly!, refused: String, header(name: String!): String }
    type Partly { good: String, bad: String }
    type Mutation { change(by: Int!): Int! }`,
  resolvers: {
    Query: {
      hello: (_, { name }) => `hello ${name ?? "world"}`,
      shop: () => ({}),
      partly: () => ({ good: "yes" }),
      refused: () => { throw new GraphQLError("not you", { extensions: { code: "FORBIDDEN" } }); },
      header: (_, { name }, context) => context.request.headers.get(name),
    },
    Partly: { bad: () => { throw new GraphQLError("the shop is closed", { extensions: { code: "CLOSED" } }); } },
    Shop: {
      items: (_, { first, after }) => {
        const from = after ? Number(after) : 0;
        const page = items.slice(from, from + first);
        const end = from + page.length;
        return { nodes: page, edges: page.map((node) => ({ node, cursor: node.id })),
          pageInfo: { hasNextPage: end < items.length, endCursor: page.length ? String(end) : null } };
      },
    },
    Mutation: { change: (_, { by }) => (changes += by) },
  },
});

const yoga = createYoga({ schema, logging: false, maskedErrors: false });
const known = new Map();
const asked = { hashes: 0, documents: 0 };

// Automatic persisted queries: a document is known by its SHA-256 once it was sent with it.
async function persisted(body) {
  const hash = body?.extensions?.persistedQuery?.sha256Hash;
  if (!hash) return body;
  asked.hashes++;
  if (body.query) {
    asked.documents++;
    if (crypto.createHash("sha256").update(body.query).digest("hex") !== hash) throw new Error("the hash is not the document's");
    known.set(hash, body.query);
  }
  return known.has(hash) ? { ...body, query: known.get(hash) } : null;
}

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  if (request.url === "/asked") return response.end(JSON.stringify(asked));
  if (request.url === "/broken") {
    response.writeHead(502);
    return response.end("no gateway");
  }
  const body = await persisted(JSON.parse(Buffer.concat(chunks).toString("utf8")));
  if (!body) {
    response.writeHead(200, { "content-type": "application/json" });
    return response.end(JSON.stringify({ errors: [{ message: "PersistedQueryNotFound", extensions: { code: "PERSISTED_QUERY_NOT_FOUND" } }] }));
  }
  const answer = await yoga.fetch("http://localhost/graphql", { method: "POST", headers: request.headers, body: JSON.stringify(body) });
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(await answer.text());
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ http: server.address().port })));
