// A second opinion about signatures, for tests: `node webhooks.mjs sign SECRET ID EPOCH BODY` prints the signature;
// `node webhooks.mjs verify SECRET ID EPOCH SIGNATURE BODY` prints "ok", or fails. whsec_ by the library standardwebhooks, which
// knows no ed25519; whsk_ and whpk_ by node:crypto.
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";

const [, , verb, secret, id, epoch, ...rest] = process.argv;

// What PKCS #8 and SubjectPublicKeyInfo put before the 32 bytes of an ed25519 key (RFC 8410).
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

function ed25519() {
  const bytes = Buffer.from(secret.slice(5), "base64");
  const text = (body) => Buffer.from(`${id}.${epoch}.${body}`);
  if (verb === "sign") {
    const key = createPrivateKey({ key: Buffer.concat([PKCS8, bytes.subarray(0, 32)]), format: "der", type: "pkcs8" });
    console.log("v1a," + sign(null, text(rest[0]), key).toString("base64"));
    return;
  }
  const key = createPublicKey({ key: Buffer.concat([SPKI, bytes]), format: "der", type: "spki" });
  const good = rest[0].split(" ").some((one) => one.startsWith("v1a,")
    && verify(null, text(rest[1]), key, Buffer.from(one.slice(4), "base64")));
  if (!good) throw new Error("no signature of this key");
  console.log("ok");
}

async function symmetric() {
  const { Webhook } = await import("standardwebhooks");
  const hook = new Webhook(secret);
  if (verb === "sign") console.log(hook.sign(id, new Date(Number(epoch) * 1000), rest[0]));
  else {
    hook.verify(rest[1], { "webhook-id": id, "webhook-timestamp": epoch, "webhook-signature": rest[0] });
    console.log("ok");
  }
}

if (/^wh[sp]k_/.test(secret)) ed25519();
else await symmetric();
