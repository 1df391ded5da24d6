// probot as middleware on Node's own HTTP server, its request log left out: its fastest form.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createNodeMiddleware, Probot } from "probot";

const probot = new Probot({
  appId: 1,
  privateKey: readFileSync(process.env.BENCH_PRIVATE_KEY, "utf8"),
  secret: process.env.BENCH_SECRET,
  logLevel: "fatal",
});
const app = (probot) => {
  probot.on("pull_request.closed", async () => {});
};
const middleware = await createNodeMiddleware(app, { probot, webhooksPath: "/webhook" });
createServer(middleware).listen(Number(process.env.BENCH_PORT), "127.0.0.1");
