// A web server that hands each POST to a program: `node incoming.mjs PROGRAM SCRIPT STORE`. The program gets {headers, body} as JSON and
// prints the status to answer with.
import http from "node:http";
import { spawn } from "node:child_process";

const [, , program, script, store] = process.argv;

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const child = spawn(program, [script, store], { stdio: ["pipe", "pipe", "inherit"] });
    let said = "";
    child.stdout.on("data", (chunk) => (said += chunk));
    child.on("close", () => {
      response.statusCode = Number(said) || 500;
      response.end();
    });
    child.stdin.end(JSON.stringify({ headers: request.headers, body: Buffer.concat(chunks).toString() }));
  });
});

server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })));
