/** Takes what is ours out of a file whose vault is not here: a copy, a restored backup. Rule ATT10. */
import { TidelockError } from "@tidelock/core/errors";
import { AppFile, type FileDeps } from "./file.ts";
import { loadDriver } from "./sqlite.ts";
import { uninstall } from "./triggers.ts";

/** Edits that were not flushed stay in the tables and are no longer known to be edits. */
export async function detachForce(path: string, deps: FileDeps): Promise<void> {
  const file = new AppFile(loadDriver(), path, deps);
  try {
    const done = await file.write(() => uninstall(file.db));
    if (done.kind === "busy")
      throw new TidelockError("database-busy", { why: `${path} stays locked by another program` });
  } finally {
    file.close();
  }
}
