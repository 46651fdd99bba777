/** Every address of the server, in one table: what is not here does not exist. */
import type { Route } from "./http/route.ts";
import { aboutRoutes } from "./routes/about.ts";
import { accountRoutes } from "./routes/account.ts";
import { adminRoutes } from "./routes/admin.ts";
import { blobRoutes } from "./routes/blobs.ts";
import { frameRoutes } from "./routes/frames.ts";
import { noteRoutes } from "./routes/notes.ts";
import { vaultRoutes } from "./routes/vaults.ts";

export const routes: readonly Route[] = [
  ...accountRoutes,
  ...vaultRoutes,
  ...frameRoutes,
  ...blobRoutes,
  ...noteRoutes,
  ...adminRoutes,
  ...aboutRoutes(() => routes),
];
