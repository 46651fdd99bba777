/** The embedded server for Node.js. */
export type { Registration } from "./auth/sign-in.ts";
export { type RunningServer, type StartOptions, startServer } from "./host/start.ts";
