// probot's own adapter for Lambda, as its README has it: the secret from the environment, nothing stored, no call made.
import adapter from "@probot/adapter-aws-lambda-serverless";

const app = (probot) => {
  probot.on("pull_request.closed", async () => {});
};
export const handler = adapter.createLambdaFunction(app, { probot: adapter.createProbot() });
