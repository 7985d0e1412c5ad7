// The yardstick: what Node's own HTTP server gives for the same answers.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  if (request.url === "/raw/chunks") return void answerInChunks(response);
  const body = JSON.stringify({ message: `Hello ${request.url.slice("/v1/hello/".length)}` });
  const headers = { "content-type": "application/json", "content-length": body.length };
  response.writeHead(200, headers).end(body);
});

async function answerInChunks(response) {
  response.setHeader("content-type", "text/plain");
  for (let chunk = 0; chunk < 2; chunk++) {
    await new Promise((done) => {
      response.write("a chunk of an answer\n", () => done());
    });
  }
  response.end();
}

server.listen(0, "127.0.0.1", () => console.log(`ready 127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => process.exit(0));
