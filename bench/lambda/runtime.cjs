// Lambda's Runtime API for a handler in Node.js: next event, handler, response; as much as awslambdaric does here.
// AWS's own client for Node.js is a native module that has to be compiled, so it is not what peers are measured under.
// `node runtime.cjs FILE`, where FILE exports `handler`.
const http = require("node:http");

const agent = new http.Agent({ keepAlive: true });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");

function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, host, port, method, path: `/2018-06-01/runtime${path}` }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(parts).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function main() {
  const { handler } = require(process.argv[2]);
  for (;;) {
    const event = await ask("GET", "/invocation/next");
    const id = event.headers["lambda-runtime-aws-request-id"];
    try {
      const answer = await handler(JSON.parse(event.body), { awsRequestId: id });
      await ask("POST", `/invocation/${id}/response`, JSON.stringify(answer));
    } catch (error) {
      await ask("POST", `/invocation/${id}/error`, JSON.stringify({ errorType: error.name, errorMessage: error.message }));
    }
  }
}

main();
