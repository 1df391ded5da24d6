// Bare @octokit/webhooks on Node's own HTTP server: it verifies and dispatches, and stores nothing.
import { createServer } from "node:http";
import { createNodeMiddleware, Webhooks } from "@octokit/webhooks";

const quiet = { debug() {}, info() {}, warn() {}, error: console.error };
const webhooks = new Webhooks({ secret: process.env.BENCH_SECRET, log: quiet });
webhooks.on("pull_request.closed", () => {});
createServer(createNodeMiddleware(webhooks, { path: "/webhook", log: quiet })).listen(
  Number(process.env.BENCH_PORT),
  "127.0.0.1",
);
