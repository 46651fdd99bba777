/** Remotes over the network, for any host with `fetch`. */
export { createServerRemote, type ServerRemoteOptions } from "./server-remote.ts";
export type { ServerIdentity } from "./session.ts";
