// The library jose, for tests: `node jwt.mjs ALG FILE JWT` verifies a token by the private key in FILE (its public half) and prints its claims.
import fs from "node:fs";
import crypto from "node:crypto";
import { jwtVerify } from "jose";
const [, , alg, file, token] = process.argv;
const { payload } = await jwtVerify(token, crypto.createPublicKey(fs.readFileSync(file)), { algorithms: [alg] });
console.log(JSON.stringify(payload));
