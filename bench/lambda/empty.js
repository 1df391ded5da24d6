// A handler that does nothing: what Node.js and runtime.cjs cost by themselves.
export const handler = async () => ({ statusCode: 200, body: "" });
