// The library standardwebhooks, for tests: `node webhooks.mjs sign SECRET ID EPOCH BODY` prints the signature;
// `node webhooks.mjs verify SECRET ID EPOCH SIGNATURE BODY` prints "ok", or fails.
import { Webhook } from "standardwebhooks";
const [, , verb, secret, id, epoch, ...rest] = process.argv;
const hook = new Webhook(secret);
if (verb === "sign") console.log(hook.sign(id, new Date(Number(epoch) * 1000), rest[0]));
else {
  hook.verify(rest[1], { "webhook-id": id, "webhook-timestamp": epoch, "webhook-signature": rest[0] });
  console.log("ok");
}
