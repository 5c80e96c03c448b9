// oidc-provider for tests, with an API that takes its tokens and a person who says yes. Prints {"http": port} as one line, then serves until
// it is ended. /browse?url=… does what the person's browser would, and answers {"url": where it ended}.
import http from "node:http";
import { Provider } from "oidc-provider";

const server = http.createServer();
server.listen(0, "127.0.0.1", async () => {
  const base = `http://127.0.0.1:${server.address().port}`;
  const device = "urn:ietf:params:oauth:grant-type:device_code";
  const provider = new Provider(base, {
    clients: [
      { client_id: "service", client_secret: "service-secret", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] },
      { client_id: "web", client_secret: "web-secret", grant_types: ["authorization_code", "refresh_token"],
        redirect_uris: ["http://127.0.0.1:1/cb"], response_types: ["code"] },
      { client_id: "cli", token_endpoint_auth_method: "none", grant_types: [device, "refresh_token"], redirect_uris: [], response_types: [] },
    ],
    scopes: ["openid", "offline_access", "read"],
    features: { clientCredentials: { enabled: true }, deviceFlow: { enabled: true }, revocation: { enabled: true },
      devInteractions: { enabled: false } },
    ttl: { AccessToken: () => 1, ClientCredentials: () => 1, RefreshToken: () => 600, DeviceCode: () => 60, Session: () => 600, Grant: () => 600,
      Interaction: () => 600, IdToken: () => 600, AuthorizationCode: () => 60 },
    rotateRefreshToken: true,
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed("refresh_token"),
    pkce: { required: () => true },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    cookies: { keys: ["test"] },
  });
  const seen = { token: 0 };
  const serve = provider.callback();

  // Logs in and consents to all that is asked for.
  async function interact(request, response) {
    const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
    if (prompt.name === "login") return provider.interactionFinished(request, response, { login: { accountId: "ann" } });
    const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
  }

  // A browser with cookies that follows redirects, submits the one form of a page, and stops at what is not of this server.
  async function browse(address) {
    const cookies = new Map();
    let init = {};
    for (let i = 0; i < 20; i++) {
      if (!address.startsWith(base)) return address;
      const response = await fetch(address, { ...init, redirect: "manual",
        headers: { ...init.headers, cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") } });
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
        cookies.set(name, value);
      }
      init = {};
      if (response.headers.has("location")) {
        address = new URL(response.headers.get("location"), address).href;
        continue;
      }
      const page = await response.text();
      const form = page.match(/<form[^>]*action="([^"]*)"/);
      if (!form) return address;
      const body = new URLSearchParams();
      for (const [input] of page.matchAll(/<input[^>]*>/g)) {
        const name = input.match(/name="([^"]*)"/), value = input.match(/value="([^"]*)"/);
        if (name) body.set(name[1], value ? value[1] : "");
      }
      if (!/<input[^>]*name="user_code"[^>]*type="text"/.test(page)) body.set("confirm", "yes");
      address = new URL(form[1], address).href;
      init = { method: "POST", body };
    }
    throw new Error("the browser goes round");
  }

  const orders = [{ id: 1, cents: 500 }, { id: 2, cents: 250 }];

  async function api(request, response, body) {
    const value = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    const token = await provider.AccessToken.find(value) ?? await provider.ClientCredentials.find(value);
    const live = token && !token.isExpired;
    response.writeHead(live ? 200 : 401, { "content-type": "application/json" });
    body ??= { client: token?.clientId, account: token?.accountId ?? null, scope: token?.scope ?? null };
    response.end(JSON.stringify(live ? body : {}));
  }

  server.on("request", async (request, response) => {
    const url = new URL(request.url, base);
    try {
      if (url.pathname.startsWith("/interaction/")) return await interact(request, response);
      if (url.pathname === "/api") return await api(request, response);
      if (url.pathname === "/orders") return await api(request, response, orders);
      if (url.pathname === "/seen") return response.end(JSON.stringify(seen));
      if (url.pathname === "/browse") return response.end(JSON.stringify({ url: await browse(url.searchParams.get("url")) }));
      if (url.pathname === "/token") seen.token++;
      return serve(request, response);
    } catch (error) {
      response.writeHead(500);
      response.end(String(error.stack));
    }
  });
  console.log(JSON.stringify({ http: server.address().port }));
});
